"""`connect`, which opens a client on a NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import anyio

from cwt_runtime.bus.errors import AccessRefusedError, UnusableConnectionError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.settings import connect_settings
from cwt_runtime.telemetry.logs import Log
from cwt_schemas.errors import Unavailable
from pycwt_client.client import Client
from pycwt_client.log import library_log

__all__ = ["CONNECT_TIMEOUT_S", "connect"]

#: A server on the same machine answers within milliseconds, one far away within a second.
CONNECT_TIMEOUT_S = 5.0


@asynccontextmanager
async def connect(
    url: str | ConnectSettings | None = None,
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
        Such as ``nats://127.0.0.1:4222``; several are separated by commas. A `ConnectSettings`
        also says which user connects. None: as the variables ``CWT_NATS_*`` say, by default
        to a server on this machine.
    name
        What the server's monitoring calls this connection.
    creds
        Path of a NATS credentials file, in addition to `url`.
    timeout_s
        How long to wait for the server.
    log
        Where losses of the connection are told; by default the logger ``pycwt_client``.

    Raises
    ------
    Unavailable
        There is no server at `url`, or it does not let this user in; or `url` or a file that it
        names cannot be used.
    ValueError
        `creds` is given together with another user.
    SettingsError
        Without `url`: the variables contradict each other.
    """
    settings = _settings(url, creds)
    async with AsyncExitStack() as stack:
        bus = None
        try:
            with anyio.move_on_after(timeout_s):
                bus = await stack.enter_async_context(
                    connect_bus(
                        settings, name=name, log=log or library_log(), wait_if_refused=False
                    )
                )
        except (AccessRefusedError, UnusableConnectionError) as error:
            raise Unavailable(str(error)) from error
        if bus is None:
            raise Unavailable(
                f"no NATS server answers at {settings.address}: start one with `pycwt-mod up`, "
                "or set CWT_NATS_URL to one that runs"
            )
        yield Client(bus)


def _settings(url: str | ConnectSettings | None, creds: str | None) -> ConnectSettings:
    if isinstance(url, str):
        return ConnectSettings(url=url, creds=creds)
    settings = connect_settings() if url is None else url
    return settings if creds is None else replace(settings, creds=creds)
