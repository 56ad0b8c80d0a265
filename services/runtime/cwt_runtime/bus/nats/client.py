"""The driver's client with corrections: a `flush` that is a barrier, and a reliable close.

The corrected behaviour of nats-py 2.16:

- `flush` writes its PING directly to the socket, ahead of publishes and unsubscriptions that are
  still in the buffer. It can therefore return before they are sent, and `Subscription.drain`, which
  relies on it, drops messages in flight. Here the PING is queued in the buffer. `tests/contract`
  shows the difference within a few runs.
- A message whose subject, reply subject or headers are not text, or whose header block is too
  short, ends the reading task, and the process receives nothing more; a log delivers such a message
  again after each restart. Here unreadable parts are replaced or omitted, and the receiver of the
  message decides.
- The PONG to a ping whose sender was cancelled ends the reading task too. Here it is only counted.
- The client closes permanently when the server ends a connection because the user's credentials
  expired or its password was changed. Here it reconnects with the current contents of the files.
- The client sends the password unencrypted to a server that does not offer TLS, even if the URL or
  the options require TLS. Here it sends no secret in that case.
- The server reports a publish without a permission as an error of the connection, and the request
  waits until its timeout. Here, with `raise_forbidden`, it fails immediately.
- A message may be stored by a service instead of a stream. The driver cannot read the error of a
  service. Here it is raised as `ServiceRefusalError`.
- `connect` leaves an open socket behind when it is cancelled, and `drain` waits half a minute for a
  server that does not respond. `leave` closes the connection in both cases, within a time limit.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import anyio
import nats.errors
from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport, Transport
from nats.js import JetStreamContext
from nats.js.api import DEFAULT_PREFIX, PubAck
from nats.protocol.parser import ERR_RE, PERMISSIONS_ERR

from cwt_runtime.bus.nats.bulk import (
    LARGE_BYTES,
    BulkParser,
    BulkTransport,
    publish_parts,
)
from cwt_runtime.bus.nats.request_info import with_request_info
from cwt_schemas.headers import SERVICE_ERROR, SERVICE_ERROR_CODE

__all__ = [
    "REFUSAL",
    "STORE_TIMEOUT_S",
    "ForbiddenSubjectError",
    "NoTlsError",
    "OrderedClient",
    "ServiceRefusalError",
]

Take = Callable[[Msg], Awaitable[None]]

#: Error messages of the server for a user that it refuses, or no longer accepts.
REFUSAL = re.compile(r"Authorization Violation|\w+ Authentication (Expired|Revoked)", re.IGNORECASE)
#: Error message of the server for a subject that the user may not publish or subscribe to.
_FORBIDDEN = re.compile(r'Permissions Violation for \w+ to "([^"]+)"')
#: A JetStream acknowledgement takes a fraction of a millisecond; this covers a leader election.
STORE_TIMEOUT_S = 5.0
#: Time limits for sending buffered output and for closing, seconds. A server that exceeds them does
#: not respond. Their sum is below the grace period of a service after its drain time.
SEND_S = 2.0
CLOSE_S = 1.0
#: Time after which the cancellation of a task is repeated, seconds.
CANCEL_POLL_S = 0.1
#: Time without a PONG on an open connection after which `confirm` gives up, seconds.
SILENCE_S = 10
#: Interval of pings, seconds; a ping sent on a connection that broke is never answered.
PING_S = 1
#: Interval of checks whether the connection is restored, seconds.
RECONNECT_POLL_S = 0.05


class ForbiddenSubjectError(nats.errors.Error):
    """The user may not publish or subscribe to this subject."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"the user of this connection has no permission for {subject}")


class ServiceRefusalError(nats.errors.Error):
    """A service did not store a message; `code` is its HTTP status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoTlsError(nats.errors.Error):
    """The client requires TLS, and the server does not offer it."""


#: Whether the request of this task is a message to be stored.
_STORING: ContextVar[bool] = ContextVar("storing", default=False)


class _JetStream(JetStreamContext):
    """The driver's JetStream context, which also writes to buckets of another domain.

    A leaf node does not forward subjects that begin with ``$KV.``; the server of the domain maps
    ``$JS.<domain>.API.$KV.<key>`` to ``$KV.<key>``.
    """

    async def publish(self, subject: str, *arguments: Any, **options: Any) -> PubAck:  # noqa: ANN401
        is_elsewhere = self._prefix != DEFAULT_PREFIX and subject.startswith("$KV.")
        mapped = f"{self._prefix}.{subject}" if is_elsewhere else subject
        storing = _STORING.set(True)
        try:
            return await super().publish(mapped, *arguments, **options)
        finally:
            _STORING.reset(storing)


def _checked(reply: Msg) -> Msg:
    """Return a reply, unless a service refuses to store the message of the request."""
    error = reply.headers or {}
    if _STORING.get() and SERVICE_ERROR_CODE in error:
        raise ServiceRefusalError(error[SERVICE_ERROR_CODE], error.get(SERVICE_ERROR, ""))
    return reply


class OrderedClient(Client):
    """A NATS client whose `flush` is a barrier, and which `leave` closes.

    Parameters
    ----------
    domain
        The JetStream domain to use; None: the default of the account.
    requires_tls
        Whether a server without TLS is refused.
    raise_forbidden
        Whether `request` raises `ForbiddenSubjectError` for a subject that the user may not use;
        otherwise the error is logged as a connection error, and the request times out.
    """

    def __init__(
        self,
        domain: str | None = None,
        *,
        requires_tls: bool = False,
        raise_forbidden: bool = False,
    ) -> None:
        super().__init__()
        self._requires_tls = requires_tls
        self._raise_forbidden = raise_forbidden
        self.domain = domain
        self._ps = BulkParser(self)
        #: The driver's JetStream context of this connection.
        self.js: JetStreamContext = _JetStream(self, timeout=STORE_TIMEOUT_S, domain=domain)
        #: Prefix of the subjects of the JetStream API.
        self.js_api = "$JS.API" if domain is None else f"$JS.{domain}.API"
        #: Callbacks that bypass the driver's queues, by subscription id.
        self._straight: dict[int, Take] = {}
        #: Callbacks for reports that the user may not use a subject, by subject.
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109 - the driver's signature
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Send a request and wait for one reply."""
        if not self._raise_forbidden:
            return _checked(await super().request(subject, payload, timeout, old_style, headers))
        with anyio.CancelScope() as scope, self.when_forbidden(subject, scope.cancel):
            return _checked(await super().request(subject, payload, timeout, old_style, headers))
        raise ForbiddenSubjectError(subject)

    @contextmanager
    def when_forbidden(self, subject: str, take: Callable[[], None]) -> Iterator[None]:
        """Call `take` when the server reports that the user may not use `subject`.

        Without `raise_forbidden`, do nothing.
        """
        if not self._raise_forbidden:
            yield
            return
        waiting = self._waiting.setdefault(subject, [])
        waiting.append(take)
        try:
            yield
        finally:
            waiting.remove(take)
            if not waiting:
                self._waiting.pop(subject, None)

    @property
    def _transport(self) -> Transport | None:
        """The socket; the driver creates one for each connection and assigns it here."""
        return self._socket

    @_transport.setter
    def _transport(self, transport: Transport | None) -> None:
        is_plain_tcp = type(transport) is TcpTransport
        self._socket = BulkTransport() if is_plain_tcp else transport  # type: ignore[no-untyped-call]

    def wait_between_tries(self, seconds: float) -> None:
        """Set the minimum delay between two tries to connect to the same server."""
        self.options["reconnect_time_wait"] = seconds

    async def leave(self) -> None:
        """Send buffered output if connected, then close; shielded from cancellation."""
        if self.is_connected:
            with anyio.move_on_after(SEND_S, shield=True), suppress(nats.errors.Error, OSError):
                # `drain` is not used: it leaves a future behind when it is cancelled, and the
                # subscriptions have already ended.
                await self.flush()
        if not self.is_connected:  # else the driver blocks on the broken connection
            self._pending, self._pending_data_size = [], 0
        if self._flush_queue is not None:  # else `connect` rejected its arguments
            with anyio.move_on_after(CLOSE_S, shield=True), suppress(OSError):
                await self.close()
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self._end_reconnecting()
        if isinstance(self._socket, BulkTransport):
            self._socket.abort()  # `close` does not do this if the output cannot be sent

    async def _end_reconnecting(self) -> None:
        """End the driver's task that reconnects.

        The driver cancels it once. On Python 3.11, `wait_for` ignores a cancellation that arrives
        when the connection is just established, and the task would reconnect forever.
        """
        task = self._reconnection_task
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_POLL_S)

    async def confirm(self) -> None:
        """Wait until the server has read all output, on a new connection if necessary.

        The driver's `flush` waits for the PONG to a ping, which never arrives if the connection
        breaks meanwhile.

        Raises
        ------
        FlushTimeoutError
            The server does not respond on an open connection.
        """
        silent_s = 0
        while True:
            while not self.is_connected and not self.is_closed:  # noqa: ASYNC110 - no event for it
                await anyio.sleep(RECONNECT_POLL_S)
            before = self.stats["reconnects"]
            try:
                await self.flush(PING_S)
            except nats.errors.FlushTimeoutError:
                is_same = self.is_connected and self.stats["reconnects"] == before
                silent_s = silent_s + PING_S if is_same else 0
                if silent_s >= SILENCE_S:
                    raise
            else:
                return

    async def subscribe_straight(self, subject: str, take: Take) -> Subscription:
        """Subscribe; `take` is called with each message in the reading task.

        The driver passes messages to a task of the subscription through a queue, which costs an
        iteration of the event loop and bounds the backlog. Here there is no queue: `take` is for
        subscribers that requested a limited number of messages. It must not wait for input from
        this connection, and must not raise.
        """
        subscription = await self.subscribe(subject, cb=take)
        self._straight[subscription._id] = take
        return subscription

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        take = self._straight.get(sid)
        if take is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        fields = await self._process_headers(headers)
        await take(self._build_message(sid, subject, reply, data, fields))

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            fields = await super()._process_headers(headers)
        except (IndexError, UnicodeDecodeError):
            fields = None
        return with_request_info(headers, fields)

    def _build_message(
        self,
        sid: int,
        subject: bytes,
        reply: bytes,
        data: bytes,
        headers: dict[str, str] | None,
    ) -> Msg:
        return Msg(
            _client=self,
            subject=subject.decode(errors="replace"),
            reply=reply.decode(errors="replace"),
            data=data,
            headers=headers,
            _sid=sid,
        )

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._straight.pop(sid, None)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        await super()._process_info(info, initial_connection)
        is_plain = not (info.get("tls_required") or self.options["tls_handshake_first"])
        if self._requires_tls and initial_connection and is_plain:
            if not info.get("tls_available"):
                raise NoTlsError("the server does not offer TLS")
            info["tls_required"] = True  # required by this client: the driver starts the handshake

    async def _process_err(self, err_msg: str) -> None:
        # The driver's parser converts the message to lower case, subjects included; its buffer
        # still contains the original.
        line = ERR_RE.match(self._ps.buf)
        error = nats.errors.Error(f"nats: {line[1].decode(errors='replace')}" if line else err_msg)
        if PERMISSIONS_ERR in err_msg:
            match = _FORBIDDEN.search(str(error))
            waiting = tuple(self._waiting.get(match[1], ())) if match else ()
            for take in waiting:
                take()
            if not waiting:
                await self._error_cb(error)
        elif REFUSAL.search(err_msg):
            await self._error_cb(error)
            await self._process_op_err(error)
        else:
            await super()._process_err(err_msg)

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        self._pongs.append(asyncio.Future() if future is None else future)
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    async def _process_pong(self) -> None:
        # The sender of the ping may have been cancelled since.
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.Future()
        await super()._process_pong()

    async def _send_publish(
        self,
        subject: str,
        reply: str,
        payload: bytes,
        payload_size: int,
        headers: dict[str, Any] | None,
    ) -> None:
        if payload_size < LARGE_BYTES or not subject:
            await super()._send_publish(subject, reply, payload, payload_size, headers)
            return
        # Append all parts together: no other output may come between them.
        self._pending.extend(publish_parts(subject, reply, headers, payload))
        self._pending_data_size += payload_size
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        over = 0 < self._max_pending_size < self._pending_data_size
        await self._flush_pending(force_flush=over)
