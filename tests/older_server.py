"""A relay to a server that makes it look like an older one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream

__all__ = ["older_server"]

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
#: As a server writes its version, to a new connection and in the reports of its state.
VERSION = re.compile(rb'("ver(?:sion)?":")\d')


async def _carry(source: SocketStream, target: SocketStream) -> None:
    with suppress(*_GONE):
        async for data in source:
            await target.send(VERSION.sub(rb"\g<1>1", data))


@asynccontextmanager
async def older_server(url: str) -> AsyncIterator[str]:
    """Yield a URL that leads to the server at `url`, whose version begins with 1 there."""
    server = urlsplit(url)

    async def serve(client: SocketStream) -> None:
        async with (
            client,
            await anyio.connect_tcp(str(server.hostname), server.port or 0) as upstream,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_carry, client, upstream)
            await _carry(upstream, client)
            tasks.cancel_scope.cancel()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)
        yield url.replace(f"{server.hostname}:{server.port}", f"127.0.0.1:{port}")
        tasks.cancel_scope.cancel()
