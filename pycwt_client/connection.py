"""Reaching the system: a `Client` on a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from pycwt_client.client import Client
from pycwt_client.records import library_log
from schemas.errors import Unavailable
from services.runtime.bus.errors import UnusableConnectionError
from services.runtime.bus.nats import connect_bus
from services.runtime.telemetry.logs import Log
from services.runtime.urls import without_credentials

__all__ = ["connect"]

#: A server on the same machine answers within milliseconds, one far away within a second.
CONNECT_TIMEOUT_S = 5.0


@asynccontextmanager
async def connect(
    url: str,
    *,
    name: str = "pycwt-client",
    creds: str | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
    log: Log | None = None,
) -> AsyncIterator[Client]:
    """Connect to the NATS server at `url`; leaving the context sends what is buffered and closes.

    A connection that breaks later is made again by itself.

    Parameters
    ----------
    url
        Such as ``nats://127.0.0.1:4222``; several are separated by commas.
    name
        What the server's monitoring calls this connection.
    creds
        Path of a NATS credentials file.
    timeout_s
        How long to wait for the server.
    log
        Where losses of the connection are told; by default the logger ``pycwt_client``.

    Raises
    ------
    Unavailable
        There is no server at `url`, or none that lets this user in; or `url` or `creds` is none.
    """
    async with AsyncExitStack() as stack:
        bus = None
        try:
            with anyio.move_on_after(timeout_s):
                bus = await stack.enter_async_context(
                    connect_bus(url, name=name, log=log or library_log(), creds=creds)
                )
        except UnusableConnectionError as error:
            raise Unavailable(f"{error} (CWT_NATS_URL, CWT_NATS_CREDS)") from error
        if bus is None:
            raise Unavailable(
                f"no NATS server answers at {without_credentials(url)}, or none that lets this "
                "user in: start one with `pycwt-mod up`, or set CWT_NATS_URL to one that runs"
            )
        yield Client(bus)
