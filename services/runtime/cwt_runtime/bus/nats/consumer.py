"""Consumers of JetStream: a share in a work queue, and a stream read in order without a hole.

Both send pull requests, see `pull`.

A stream is read in order by an ephemeral consumer without acknowledgements, which delivers in
order, but what was on the wire when a connection broke is lost. The consumer's own sequence shows
it: a jump means a hole, and a new consumer starts right after the last message that was passed on.

A cancelled wait loses nothing: what has arrived, and the position of a reader, are in fields, not
in a suspended generator.
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

#: Messages that a reader of a stream requests at once, as far as they fit into the bytes of a
#: request, which are those of one large message: a process may read hundreds of subjects.
READ_BATCH = 64
#: Subject and headers of a message, and what the server counts besides.
OVERHEAD_BYTES = 64 * 1024
#: The server forgets a reader that has not pulled for so long.
INACTIVE_S = 60.0
#: Where the server counts its nanoseconds from.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def consume_queue(
    client: OrderedClient, stream: str, durable: str
) -> AsyncIterator[Consumer]:
    """Take part in a work queue while the context is open; then hand back what was prefetched."""
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
        """Wait for the next message, through outages of the server."""
        while True:
            try:
                with driver_errors():
                    return _Delivery(self._client, *await self._pull.next())
            except ConsumerGoneError:
                continue  # the server is coming up: the queue is declared and kept on disk

    async def close(self) -> None:
        """Hand back what was prefetched and stop."""
        try:
            await self._pull.close()
            for pulled in self._pull.take_buffered():
                await pulled.msg.nak()
        except nats.errors.Error:
            pass  # the connection is gone: the server hands it out again after the deadline


class _Delivery:
    """Implements `cwt_runtime.bus.Delivery`."""

    def __init__(self, client: OrderedClient, msg: Msg, place: AckSubject) -> None:
        self._client = client
        self._msg = msg
        self._stored = stored_message_of(msg, place)
        self._deliveries = place.deliveries

    @property
    def stored(self) -> StoredMessage:
        """The message and its place in the stream."""
        return self._stored

    @property
    def deliveries(self) -> int:
        """How often it was handed out, this time included."""
        return self._deliveries

    async def ack(self) -> None:
        """Done: take it off the queue."""
        with driver_errors():
            await self._msg.ack()

    async def nak(self, delay_s: float = 0.0) -> None:
        """Not done: hand it to anybody after `delay_s` seconds."""
        with driver_errors():
            await self._msg.nak(delay_s or None)

    async def term(self, reason: str) -> None:
        """Given up: take it off the queue, for the stated reason."""
        with driver_errors():
            # The driver's `term` has no place for the reason, which the server's advisory shows.
            await self._client.publish(self._msg.reply, f"+TERM {reason}".encode())

    async def in_progress(self) -> None:
        """Still at it: start the acknowledgement deadline again."""
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
    """Read every message on `subjects` from a place and a time on, each once, in order.

    Parameters
    ----------
    newest
        Begin with the newest message of each subject instead.
    headers_only
        Leave the bodies on the server.
    follow
        Wait for new messages without end; otherwise end after the last message, whatever was
        removed from the stream meanwhile.
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
    """Where the reading of a stream stands; see `read_stream`."""

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
        #: Of the consumer, but for where it starts.
        self._config = config
        self._next_seq = max(start_seq, 1)
        #: None once a message was passed on: from there on the sequence says where.
        self._start_time_ns = start_time_ns
        #: False once a message was passed on.
        self._newest = newest
        self._follow = follow
        self._pull: Pull | None = None
        #: The consumer's own number of the next message, if there is no hole.
        self._expected = 1

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> StoredMessage:
        while True:
            try:
                with driver_errors():
                    msg, place = await self._present_pull().next()
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
        """Let the server's consumer go."""
        pull, self._pull = self._pull, None
        if pull is not None:
            with suppress(nats.errors.Error):  # gone with the connection
                await pull.close()
                await pull.remove_consumer()

    def _present_pull(self) -> Pull:
        """Return the pull of a consumer that starts where the reading stands."""
        if self._pull is None:
            self._expected = 1
            self._pull = Pull(
                self._client,
                self._stream,
                secrets.token_hex(8),
                batch=READ_BATCH,
                # A message that is larger than a request's bytes would never come.
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
        # A datetime has whole microseconds; what it lets through is left out above.
        start = EPOCH + timedelta(microseconds=self._start_time_ns // 1000)
        return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": start}
