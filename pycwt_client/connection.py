"""`connect`, which opens a client connected to a NATS server."""

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

#: A local server replies within milliseconds, a remote one within a second.
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
    """Connect to the NATS server at `url`; leaving the context flushes and closes the connection.

    The client reconnects if the connection is lost later.

    Parameters
    ----------
    url
        Such as ``nats://127.0.0.1:4222``; separate several with commas. A `ConnectSettings` also
        specifies the user. None reads the variables ``CWT_NATS_*``, which default to a server on
        this machine.
    name
        Name of the connection in the server's monitoring.
    creds
        Path of a NATS credentials file, in addition to `url`.
    timeout_s
        Deadline of the connection attempt.
    log
        Receives losses of the connection; by default the logger ``pycwt_client``.

    Raises
    ------
    Unavailable
        No server replies at `url`, or it rejects the user; or `url` or a file that it names is not
        valid.
    ValueError
        `creds` is given together with another user.
    SettingsError
        `url` is None, and the variables contradict each other.
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
                f"cannot connect to {settings.address}: no NATS server replies; "
                "start one with `pycwt-mod up`, or set CWT_NATS_URL"
            )
        yield Client(bus)


def _settings(url: str | ConnectSettings | None, creds: str | None) -> ConnectSettings:
    if isinstance(url, str):
        return ConnectSettings(url=url, creds=creds)
    settings = connect_settings() if url is None else url
    return settings if creds is None else replace(settings, creds=creds)
