"""JetStream consumers: members of a work queue, and ordered readers of a stream.

Both send pull requests, see `pull`.

An ordered reader uses an ephemeral consumer without acknowledgements. It delivers in order, but
messages in transit are lost when the connection breaks. A gap in the consumer sequence shows the
loss; then a new consumer starts after the last message that was returned.

A cancelled wait loses nothing: received messages and the position of a reader are in attributes,
not in a suspended generator.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from cwt_runtime.bus import Consumer, Delivery, StoredMessage
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.pull import ConsumerGoneError, NoMessagesError, Pull
from cwt_runtime.bus.nats.translate import AckSubject, driver_errors, stored_message_of

__all__ = ["consume_queue", "read_stream"]

#: Maximum number of messages per request of a stream reader. The byte limit of a request is that of
#: one large message, because a process may read hundreds of subjects.
READ_BATCH = 64
#: Size of the subject, the headers and the server's overhead of a message, bytes.
OVERHEAD_BYTES = 64 * 1024
#: Time without a pull request after which the server removes a reader, seconds.
INACTIVE_S = 60.0
#: Epoch of the server's time stamps.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def consume_queue(
    client: OrderedClient, stream: str, durable: str
) -> AsyncIterator[Consumer]:
    """Join a work queue while the context is open; leaving returns prefetched messages."""
    pull = Pull(client, stream, durable, batch=1)
    with driver_errors():
        await pull.open()
    consumer = _Consumer(client, pull)
    try:
        yield consumer
    finally:
        await consumer.close()


class _Consumer:
    """Implements `cwt_runtime.bus.Consumer`."""

    def __init__(self, client: OrderedClient, pull: Pull) -> None:
        self._client = client
        self._pull = pull

    async def next(self) -> Delivery:
        """Wait for the next message, also across outages of the server."""
        while True:
            try:
                with driver_errors():
                    return _Delivery(self._client, *await self._pull.next())
            except ConsumerGoneError:
                continue  # the server is starting: the queue is on its disk

    async def close(self) -> None:
        """Return prefetched messages to the queue and stop."""
        try:
            await self._pull.close()
            for pulled in self._pull.take_buffered():
                await pulled.msg.nak()
        except nats.errors.Error:
            pass  # the connection is lost: the server redelivers them after the deadline


class _Delivery:
    """Implements `cwt_runtime.bus.Delivery`."""

    def __init__(self, client: OrderedClient, msg: Msg, place: AckSubject) -> None:
        self._client = client
        self._msg = msg
        self._stored = stored_message_of(msg, place)
        self._deliveries = place.deliveries

    @property
    def stored(self) -> StoredMessage:
        """The message and its position in the stream."""
        return self._stored

    @property
    def deliveries(self) -> int:
        """Number of deliveries of the message, including this one."""
        return self._deliveries

    async def ack(self) -> None:
        """Acknowledge the message: remove it from the queue."""
        with driver_errors():
            await self._msg.ack()

    async def nak(self, delay_s: float = 0.0) -> None:
        """Return the message to the queue for redelivery after `delay_s` seconds."""
        with driver_errors():
            await self._msg.nak(delay_s or None)

    async def term(self, reason: str) -> None:
        """Terminate the message: remove it from the queue without success, for `reason`."""
        with driver_errors():
            # The driver's `term` has no argument for the reason, which the server's advisory shows.
            await self._client.publish(self._msg.reply, f"+TERM {reason}".encode())

    async def in_progress(self) -> None:
        """Report progress: restart the acknowledgement deadline."""
        with driver_errors():
            await self._msg.in_progress()


@asynccontextmanager
async def read_stream(
    client: OrderedClient,
    stream: str,
    subjects: tuple[str, ...],
    *,
    start_seq: int = 1,
    start_time_ns: int | None = None,
    newest: bool = False,
    headers_only: bool = False,
    follow: bool,
) -> AsyncIterator[AsyncIterator[StoredMessage]]:
    """Read each message on `subjects` once, in order, from a start sequence and time on.

    Parameters
    ----------
    newest
        Start with the newest message of each subject instead.
    headers_only
        Omit the bodies.
    follow
        Whether to continue with new messages. If False, the iteration ends after the last stored
        message, also if messages are removed meanwhile.
    """
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        filter_subjects=list(subjects),
        inactive_threshold=INACTIVE_S,
        mem_storage=True,
        num_replicas=1,
        headers_only=headers_only,
    )
    reader = _Reader(client, stream, config, start_seq, start_time_ns, newest=newest, follow=follow)
    try:
        yield reader
    finally:
        await reader.close()


class _Reader:
    """Ordered reader of a stream, with its position; see `read_stream`."""

    def __init__(
        self,
        client: OrderedClient,
        stream: str,
        config: ConsumerConfig,
        start_seq: int,
        start_time_ns: int | None,
        *,
        newest: bool,
        follow: bool,
    ) -> None:
        self._client = client
        self._stream = stream
        #: Configuration of the consumer, without its start.
        self._config = config
        self._next_seq = max(start_seq, 1)
        #: None once a message was returned; then the sequence determines the position.
        self._start_time_ns = start_time_ns
        #: False once a message was returned.
        self._newest = newest
        self._follow = follow
        self._pull: Pull | None = None
        #: Expected consumer sequence of the next message.
        self._expected = 1

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> StoredMessage:
        while True:
            try:
                with driver_errors():
                    msg, place = await self._current_pull().next()
            except ConsumerGoneError:
                await self.close()
                continue
            except NoMessagesError:
                raise StopAsyncIteration from None
            if place.consumer_seq != self._expected:
                await self.close()
                continue
            stored = stored_message_of(msg, place)
            self._expected += 1
            if stored.seq >= self._next_seq and stored.stored_ns >= (self._start_time_ns or 0):
                self._next_seq = stored.seq + 1
                self._start_time_ns = None
                self._newest = False
                return stored

    async def close(self) -> None:
        """Remove the consumer from the server."""
        pull, self._pull = self._pull, None
        if pull is not None:
            with suppress(nats.errors.Error):  # the connection is closed
                await pull.close()
                await pull.remove_consumer()

    def _current_pull(self) -> Pull:
        """Return the pull of a consumer that starts at the current position."""
        if self._pull is None:
            self._expected = 1
            self._pull = Pull(
                self._client,
                self._stream,
                secrets.token_hex(8),
                batch=READ_BATCH,
                # A message larger than the byte limit of a request would never be delivered.
                max_bytes=self._client.max_payload + OVERHEAD_BYTES,
                no_wait=not self._follow,
                create=self._config.evolve(**self._start()),
            )
        return self._pull

    def _start(self) -> dict[str, Any]:
        if self._newest:
            return {"deliver_policy": DeliverPolicy.LAST_PER_SUBJECT}
        if self._start_time_ns is None:
            return {
                "deliver_policy": DeliverPolicy.BY_START_SEQUENCE,
                "opt_start_seq": self._next_seq,
            }
        # A datetime has a resolution of microseconds; `__anext__` omits earlier messages.
        start = EPOCH + timedelta(microseconds=self._start_time_ns // 1000)
        return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": start}
