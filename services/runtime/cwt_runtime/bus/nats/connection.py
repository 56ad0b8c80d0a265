"""A connection to NATS as a `Bus`: wait for the server, reconnect, close once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.lowlevel
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as DriverSubscription

from cwt_runtime.bus import Message, Subscription
from cwt_runtime.bus.errors import UnusableConnectionError
from cwt_runtime.bus.nats.client import ForbiddenSubjectError, OrderedClient
from cwt_runtime.bus.nats.connection_watch import RECONNECT_WAIT_S, ConnectionWatch
from cwt_runtime.bus.nats.credentials import user_options
from cwt_runtime.bus.nats.log import NatsLog
from cwt_runtime.bus.nats.tls import tls_context
from cwt_runtime.bus.nats.translate import driver_errors, driver_headers, message_of
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.telemetry.logs import Log
from cwt_schemas.limits import HEADER_ROOM_BYTES, MAX_MESSAGE_BYTES

__all__ = ["NatsBus", "connect_bus"]

#: A dead peer is detected after two unanswered pings.
PING_INTERVAL_S = 10
#: Size of the buffer for publishes during an outage; when it is full, they fail as unreachable.
PENDING_BYTES = 16 * 1024 * 1024
#: Number of unread messages of a subscription; beyond it the driver's queue fills, then drops.
SUBSCRIPTION_BUFFER = 1024


class NatsBus:
    """Implements `cwt_runtime.bus.Bus` over one NATS connection."""

    def __init__(self, client: OrderedClient, closed: anyio.Event) -> None:
        self._client = client
        self._closed = closed
        self._log = NatsLog(client)

    @property
    def is_connected(self) -> bool:
        """Whether the connection to the server is up."""
        return self._client.is_connected

    @property
    def max_message_bytes(self) -> int:
        """The server's limit without the room for headers, at most the contract's limit."""
        return min(self._client.max_payload - HEADER_ROOM_BYTES, MAX_MESSAGE_BYTES)

    @property
    def log(self) -> NatsLog:
        """The persisted part of the bus."""
        return self._log

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        """Send to the current subscribers; replies go to the subject `reply`."""
        with driver_errors():
            await self._client.publish(
                subject, data, reply=reply or "", headers=driver_headers(headers)
            )
        await anyio.lowlevel.checkpoint_if_cancelled()  # the driver may suppress the cancellation

    @asynccontextmanager
    async def subscribe(
        self, subject: str, queue: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Subscribe to `subject` while the context is open."""
        subscription = _Subscription()
        is_forbidden = anyio.Event()
        try:
            with driver_errors(), self._client.when_forbidden(subject, is_forbidden.set):
                await subscription.open(self._client, subject, queue or "")
                await self._client.confirm()  # the server has registered it
                if is_forbidden.is_set():
                    raise ForbiddenSubjectError(subject)
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
        """Send a request and wait for one reply."""
        with driver_errors():
            reply = await self._client.request(
                subject, data, timeout=timeout_s, headers=driver_headers(headers)
            )
        return message_of(reply)

    def new_inbox(self) -> str:
        """Return a new reply subject of this connection, under its inbox prefix."""
        return self._client.new_inbox()

    async def closed(self) -> None:
        """Wait until the connection is closed permanently."""
        await self._closed.wait()


class _Subscription:
    """Implements `cwt_runtime.bus.Subscription`."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Message](SUBSCRIPTION_BUFFER)
        self._driver: DriverSubscription | None = None

    async def open(self, client: OrderedClient, subject: str, queue: str) -> None:
        """Subscribe at the server."""
        self._driver = await client.subscribe(subject, queue=queue, cb=self._take)

    async def _take(self, msg: Msg) -> None:
        try:
            await self._send.send(message_of(msg))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the reader has left

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._receive.__aiter__()

    async def drain(self) -> None:
        """Stop receiving; the iteration ends after the messages that have already arrived."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(nats.errors.Error):  # closed with the connection
                await driver.drain()  # type: ignore[no-untyped-call]
        self._send.close()

    async def close(self) -> None:
        """Unsubscribe and discard unread messages."""
        self._receive.close()
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(nats.errors.Error):  # closed with the connection
                await driver.unsubscribe()
        self._send.close()


@asynccontextmanager
async def connect_bus(
    server: ConnectSettings | str,
    *,
    name: str,
    log: Log,
    wait_if_refused: bool = True,
    raise_forbidden: bool = False,
) -> AsyncIterator[NatsBus]:
    """Connect, waiting for the server without a time limit; leaving drains and closes.

    The caller may cancel the wait, which leaves nothing open.

    Parameters
    ----------
    server
        Connection settings, or the URL of the server.
    name
        Name of this connection in the monitoring of the server.
    wait_if_refused
        Whether to keep trying if the server refuses the user or if TLS fails: a new password in
        the file, or a new configuration of the server, can resolve that.
    raise_forbidden
        Whether requests, subscriptions and reads of streams raise `ForbiddenError` where the user
        has no permission; otherwise the refusal is logged, and they wait until their timeout.

    Raises
    ------
    UnusableConnectionError
        The URL, or a file named in the settings, cannot be used.
    AccessRefusedError
        The server refuses the user, or TLS fails, and `wait_if_refused` is False.
    """
    settings = ConnectSettings(url=server) if isinstance(server, str) else server
    user, tls = user_options(settings), tls_context(settings)
    client = OrderedClient(
        settings.domain, requires_tls=settings.requires_tls, raise_forbidden=raise_forbidden
    )
    watch = ConnectionWatch(client, settings, log, wait_if_refused=wait_if_refused)
    try:
        try:
            await client.connect(
                servers=settings.url.split(","),
                name=name,
                tls=tls,
                tls_handshake_first=settings.tls_first,
                inbox_prefix=settings.inbox_prefix,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type] # used as a float
                ping_interval=PING_INTERVAL_S,
                pending_size=PENDING_BYTES,
                error_cb=watch.on_error,
                disconnected_cb=watch.on_lost,
                reconnected_cb=watch.on_connected,
                closed_cb=watch.on_closed,
                **user,
            )
        except nats.errors.Error as error:  # not raised for an unreachable server
            detail = f"invalid server URL {settings.address!r} (CWT_NATS_URL): {error}"
            raise UnusableConnectionError(detail) from error
        await watch.on_connected()
        yield NatsBus(client, watch.closed)
    finally:
        watch.leaving = True
        await client.leave()
