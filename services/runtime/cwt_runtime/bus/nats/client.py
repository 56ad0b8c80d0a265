"""The driver's client, with a flush that is a barrier, and an end that comes in any state.

nats-py 2.16 writes the PING of `flush` straight to the socket, ahead of the publishes and
unsubscriptions that still wait in its buffer. So `flush` can return before they were sent, and
`Subscription.drain`, which relies on it, drops messages that are on their way. Here the PING waits
its turn in the buffer. `tests/contract` shows the difference within a few runs.

One message whose subject, reply or headers are not text, or whose header block is too short, ends
its reading task, and the process stays deaf; from a log, such a message comes again at every start.
Here what cannot be read is replaced or left out, and whoever gets the message decides.

The PONG to a ping whose sender was cancelled ends its reading task as well. Here it only counts.

It closes for good when the server ends a connection because its user's credentials expired or its
password was changed. Here the connection is made again, with what the files of secrets hold then.

It sends the password in the clear to a server that does not offer TLS, whatever the URL and the
options say of TLS. Here no secret is sent then.

Its `connect` leaves an open socket behind when it is cancelled, and its `drain` waits for half a
minute for a server that says nothing. `leave` closes in either case, within a bound.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
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

__all__ = ["REFUSAL", "STORE_TIMEOUT_S", "NoTlsError", "OrderedClient"]

Take = Callable[[Msg], Awaitable[None]]

#: The server's words for a user that it does not let in, or no longer.
REFUSAL = re.compile(r"Authorization Violation|\w+ Authentication (Expired|Revoked)", re.IGNORECASE)
#: A JetStream acknowledgement takes a fraction of a millisecond; this covers a leader election.
STORE_TIMEOUT_S = 5.0
#: To send what is buffered, and to close: a server that takes longer does not answer. Together they
#: are less than the grace that a service has after its drain time.
SEND_S = 2.0
CLOSE_S = 1.0
#: A server that answers no ping for so long on a connection that stands does not answer at all.
SILENCE_S = 10
#: Between two pings: one that was sent on a connection that broke is never answered.
PING_S = 1
#: Pause between two looks whether the connection is there again.
RECONNECT_POLL_S = 0.05


class NoTlsError(nats.errors.Error):
    """The client requires TLS, and the server does not offer it."""


class _JetStream(JetStreamContext):
    """The driver's JetStream, which also stores values in a bucket of another domain.

    A leaf node does not pass on what begins with ``$KV.``; the domain's own server turns
    ``$JS.<domain>.API.$KV.<key>`` into ``$KV.<key>``.
    """

    async def publish(self, subject: str, *arguments: Any, **options: Any) -> PubAck:  # noqa: ANN401
        is_elsewhere = self._prefix != DEFAULT_PREFIX and subject.startswith("$KV.")
        place = f"{self._prefix}.{subject}" if is_elsewhere else subject
        return await super().publish(place, *arguments, **options)


class OrderedClient(Client):
    """A NATS client whose `flush` is a barrier, and that is left for good with `leave`.

    Parameters
    ----------
    domain
        The JetStream domain to use; None: that of the account.
    requires_tls
        Whether a server without TLS is refused.
    """

    def __init__(self, domain: str | None = None, *, requires_tls: bool = False) -> None:
        super().__init__()
        self._requires_tls = requires_tls
        self.domain = domain
        self._ps = BulkParser(self)
        #: What the driver offers of JetStream on this connection.
        self.js: JetStreamContext = _JetStream(self, timeout=STORE_TIMEOUT_S, domain=domain)
        #: What the subjects of JetStream's interface begin with.
        self.js_api = "$JS.API" if domain is None else f"$JS.{domain}.API"
        #: Who is given messages past the driver's queues, by subscription.
        self._straight: dict[int, Take] = {}

    @property
    def _transport(self) -> Transport | None:
        """The socket; the driver makes one of its own for each connection, and assigns it here."""
        return self._socket

    @_transport.setter
    def _transport(self, transport: Transport | None) -> None:
        is_plain_tcp = type(transport) is TcpTransport
        self._socket = BulkTransport() if is_plain_tcp else transport  # type: ignore[no-untyped-call]

    def wait_between_tries(self, seconds: float) -> None:
        """From now on, try to connect to the same server no more often than this."""
        self.options["reconnect_time_wait"] = seconds

    async def leave(self) -> None:
        """Send what is buffered if there is a server, then close; not cancelled from outside."""
        if self.is_connected:
            with anyio.move_on_after(SEND_S, shield=True), suppress(nats.errors.Error, OSError):
                # Not `drain`: it leaves a future behind when it is cancelled, and subscriptions
                # have ended before.
                await self.flush()
        if not self.is_connected:  # the driver would write to the broken connection, and stop there
            self._pending, self._pending_data_size = [], 0
        if self._flush_queue is not None:  # else `connect` refused its arguments: nothing is open
            with anyio.move_on_after(CLOSE_S, shield=True), suppress(OSError):
                await self.close()

    async def confirm(self) -> None:
        """Return when the server has read all that was sent, on a new connection if need be.

        The driver's `flush` waits for the answer to a ping, which never comes if the connection
        breaks meanwhile.

        Raises
        ------
        FlushTimeoutError
            The server does not answer, on a connection that stands.
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
        """Subscribe; `take` is given each message where it is read.

        The driver hands a message to a task of the subscription by way of a queue, which costs a
        turn of the event loop, and bounds what waits. Here nothing waits: `take` is for who asked
        for so many messages and no more, does not wait for anything from this connection, and
        raises nothing.
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
        told = await self._process_headers(headers)
        await take(self._build_message(sid, subject, reply, data, told))

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            told = await super()._process_headers(headers)
        except (IndexError, UnicodeDecodeError):
            told = None
        return with_request_info(headers, told)

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
            info["tls_required"] = True  # by this client: the driver goes on with the handshake

    async def _process_err(self, err_msg: str) -> None:
        # The driver's parser has made it lower case, subjects included; its buffer still has it.
        line = ERR_RE.match(self._ps.buf)
        error = nats.errors.Error(f"nats: {line[1].decode(errors='replace')}" if line else err_msg)
        if PERMISSIONS_ERR in err_msg:
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
        # All parts at once: nothing may come between them.
        self._pending.extend(publish_parts(subject, reply, headers, payload))
        self._pending_data_size += payload_size
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        over = 0 < self._max_pending_size < self._pending_data_size
        await self._flush_pending(force_flush=over)
