"""A connection to NATS as a `Bus`: wait for the server, survive its restarts, close once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as DriverSubscription

from cwt_runtime.bus import Message, Subscription
from cwt_runtime.bus.errors import UnusableConnectionError
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.log import NatsLog
from cwt_runtime.bus.nats.translate import driver_errors, driver_headers, message_of
from cwt_runtime.telemetry.logs import Action, Log
from cwt_runtime.urls import without_credentials
from cwt_schemas.limits import HEADER_ROOM_BYTES, MAX_MESSAGE_BYTES

__all__ = ["NatsBus", "connect_bus"]

#: Pause between two tries to reach a server that is away.
RECONNECT_WAIT_S = 0.25
#: A dead peer is noticed after two unanswered pings.
PING_INTERVAL_S = 10
#: Publishes wait in this buffer while the server is away; past it they fail as unreachable.
PENDING_BYTES = 16 * 1024 * 1024
#: Messages handed over and not yet read; behind it the driver's own queue fills, then drops.
SUBSCRIPTION_BUFFER = 1024
#: A server that is away is reported at the first try and then once in so many tries.
REPORT_EVERY = 40
#: Of a credentials file (ADR-14).
PARTS = ("NATS USER JWT", "USER NKEY SEED")


class NatsBus:
    """Implements `cwt_runtime.bus.Bus` over one NATS connection."""

    def __init__(self, client: OrderedClient, closed: anyio.Event) -> None:
        self._client = client
        self._closed = closed
        self._log = NatsLog(client)

    @property
    def max_message_bytes(self) -> int:
        """What this server takes, less the room for headers, and never above the contract's."""
        return min(self._client.max_payload - HEADER_ROOM_BYTES, MAX_MESSAGE_BYTES)

    @property
    def log(self) -> NatsLog:
        """The persisted half."""
        return self._log

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        """Send to whoever listens now; answers go to the subject `reply`."""
        with driver_errors():
            await self._client.publish(
                subject, data, reply=reply or "", headers=driver_headers(headers)
            )

    @asynccontextmanager
    async def subscribe(
        self, subject: str, queue: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Listen to `subject` while the context is open."""
        subscription = _Subscription()
        with driver_errors():
            await subscription.open(self._client, subject, queue or "")
            await self._client.confirm()  # the server knows of it before the caller goes on
        try:
            yield subscription
        finally:
            await subscription.close()

    async def request(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
    ) -> Message:
        """Send and wait for one answer."""
        with driver_errors():
            reply = await self._client.request(
                subject, data, timeout=timeout_s, headers=driver_headers(headers)
            )
        return message_of(reply)

    async def closed(self) -> None:
        """Return when the connection is closed for good."""
        await self._closed.wait()


class _Subscription:
    """Implements `cwt_runtime.bus.Subscription`."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Message](SUBSCRIPTION_BUFFER)
        self._driver: DriverSubscription | None = None

    async def open(self, client: OrderedClient, subject: str, queue: str) -> None:
        """Tell the server."""
        self._driver = await client.subscribe(subject, queue=queue, cb=self._take)

    async def _take(self, msg: Msg) -> None:
        try:
            await self._send.send(message_of(msg))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody reads any more

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._receive.__aiter__()

    async def drain(self) -> None:
        """Take no more; the iteration ends after what had arrived already."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(nats.errors.Error):  # gone with the connection
                await driver.drain()  # type: ignore[no-untyped-call]
        self._send.close()

    async def close(self) -> None:
        """Stop listening now."""
        self._receive.close()
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(nats.errors.Error):  # gone with the connection
                await driver.unsubscribe()
        self._send.close()


@asynccontextmanager
async def connect_bus(
    url: str, *, name: str, log: Log, creds: str | None = None
) -> AsyncIterator[NatsBus]:
    """Connect, waiting for the server as long as it takes; leaving drains and closes.

    Whoever does not want to wait that long cancels; nothing stays open then.

    Raises
    ------
    UnusableConnectionError
        `url` or what is in the file `creds` cannot be used.
    """
    if creds is not None:
        _check_credentials(Path(creds))
    closed = anyio.Event()
    client = OrderedClient()
    watch = _Watch(url, closed, log)
    try:
        try:
            await client.connect(
                servers=url.split(","),
                name=name,
                user_credentials=creds,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type] # used as a float
                ping_interval=PING_INTERVAL_S,
                pending_size=PENDING_BYTES,
                error_cb=watch.on_error,
                disconnected_cb=watch.on_lost,
                reconnected_cb=watch.on_connected,
                closed_cb=watch.on_closed,
            )
        except nats.errors.Error as error:  # a server that is away is waited for
            detail = f"invalid server URL {without_credentials(url)!r}: {error}"
            raise UnusableConnectionError(detail) from error
        await watch.on_connected()
        yield NatsBus(client, closed)
    finally:
        watch.leaving = True
        await client.leave()


def _check_credentials(path: Path) -> None:
    """Raise if the file is none: the driver would look for its parts without end."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UnusableConnectionError(f"{path} cannot be read: {reason}") from error
    if not all(re.search(rf"^-+BEGIN {part}-+\r?\n\S+", text, re.MULTILINE) for part in PARTS):
        raise UnusableConnectionError(f"{path} is no credentials file of NATS")


class _Watch:
    """Tells in the log, and once for good in `closed`, what becomes of the connection."""

    def __init__(self, url: str, closed: anyio.Event, log: Log) -> None:
        self._url = without_credentials(url)
        self._closed = closed
        self._log = log
        self._failures = 0
        self.leaving = False

    async def on_error(self, error: Exception) -> None:
        if isinstance(error, ConnectionRefusedError | OSError | nats.errors.NoServersError):
            if self._failures % REPORT_EVERY == 0:
                self._log.warning(Action.BUS_WAITING, url=self._url, detail=str(error))
            self._failures += 1
        else:
            self._log.warning(Action.BUS_ERROR, detail=str(error) or type(error).__name__)

    async def on_lost(self) -> None:
        if not self.leaving:
            self._log.warning(Action.BUS_LOST, url=self._url)

    async def on_connected(self) -> None:
        self._failures = 0
        self._log.info(Action.BUS_CONNECTED, url=self._url)

    async def on_closed(self) -> None:
        self._closed.set()
        if not self.leaving:
            self._log.error(Action.BUS_CLOSED, url=self._url)
