"""A relay in front of the server that hangs up once, at the worst moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream

__all__ = ["cut_line"]

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class _Relay:
    """Counts the chunks of all connections; the one numbered `cut_at` is kept and not answered."""

    def __init__(self, port: int, cut_at: int) -> None:
        self._port = port
        self._cut_at = cut_at
        self._chunks = 0
        self._silent = False

    async def carry(self, device: SocketStream) -> None:
        """Serve one connection of a device."""
        self._silent = False
        async with (
            device,
            await anyio.connect_tcp("127.0.0.1", self._port) as server,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._back, server, device)
            await self._forth(device, server)
            tasks.cancel_scope.cancel()

    async def _forth(self, device: SocketStream, server: SocketStream) -> None:
        with suppress(*_GONE):
            async for data in device:
                before, self._chunks = self._chunks, self._chunks + data.count(b"HPUB ")
                self._silent = before < self._cut_at <= self._chunks
                await server.send(data)
                if self._silent:
                    return

    async def _back(self, server: SocketStream, device: SocketStream) -> None:
        with suppress(*_GONE):
            async for data in server:
                if not self._silent:
                    await device.send(data)


@asynccontextmanager
async def cut_line(port: int, chunk: int) -> AsyncIterator[int]:
    """Yield a port that leads to `port`; the connection that sends the n-th chunk is cut then."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, _Relay(port, chunk).carry)
        yield int(listener.extra(SocketAttribute.local_port))
        tasks.cancel_scope.cancel()
