"""Consumers of JetStream: a share in a work queue, and a stream read in order without a hole.

Both pull. nats-py's `fetch` holds a batch back until it is full or the time is up; a live system
cannot wait. Here one pull request is outstanding at a time; messages are passed on as they arrive,
and the next request goes out when the last one is used up or answered with a status.

Every request has its own reply subject ``<inbox>.<number>``, and the server's status messages
arrive on it, so that a late status of an old request is not taken for one of the current request.
Delivered messages arrive under their own subject. While a request is outstanding the server sends
a heartbeat; when none comes the request is considered lost (server restart, connection loss).

A lost request may still be valid on the server: one that was only stalled reads everything sent to
it meanwhile. So before the next request the inbox is replaced by a new one, and the server drops
the requests of an inbox without a subscriber: it delivers what one request asked for, however many
were sent. No request is sent while the connection is being restored; what the old inbox still
brings is handed back.

A stream is read in order by an ephemeral consumer without acknowledgements, which delivers in
order, but what was on the wire when a connection broke is lost. The consumer's own sequence shows
it: a jump means a hole, and a new consumer starts right after the last message that was passed on.

A cancelled wait loses nothing: what has arrived, and the position of a reader, are in fields, not
in a suspended generator.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from cwt_runtime.bus import Consumer, Delivery, StoredMessage
from cwt_runtime.bus.errors import BusClosedError, BusError
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.translate import AckSubject, driver_errors, stored_message_of

__all__ = ["SILENCE_S", "consume_queue", "read_stream"]

#: A pull request lives this long on the server.
EXPIRES_S = 30.0
#: The server says this often that it is still there.
HEARTBEAT_S = 0.5
#: After this long without any word the request is considered lost.
SILENCE_S = 1.25
#: A request brings no more than this, so that the server never has more waiting for this connection
#: than it allows (64 MiB by default), however large the messages are; above it, it cuts us off.
MAX_BYTES = 32 * 1024 * 1024
#: Pause after the server said that it cannot serve a request at the moment.
REFUSED_WAIT_S = 0.2
#: Pause between two looks whether the connection is there again.
RECONNECT_POLL_S = 0.1

HEARTBEAT = "100"
NO_RESPONDERS = "503"
NO_MESSAGES = "404"
CONFLICT = "409"
#: Descriptions of the conflicts that only say that a request with a byte limit is fulfilled.
FULFILLED = ("Batch Completed", "Message Size Exceeds MaxBytes")
NANOSECONDS = 1_000_000_000
#: Messages that a reader of a stream requests at once, as far as they fit into the bytes of a
#: request, which are those of one large message: a process may read hundreds of subjects.
READ_BATCH = 64
#: Subject and headers of a message, and what the server counts besides.
OVERHEAD_BYTES = 64 * 1024
#: The server forgets a reader that has not pulled for so long.
INACTIVE_S = 60.0
#: Pause before trying again to make a consumer on a server that is coming up.
RETRY_S = 0.25
#: Where the server counts its nanoseconds from.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def consume_queue(
    client: OrderedClient, stream: str, durable: str
) -> AsyncIterator[Consumer]:
    """Take part in a work queue while the context is open; then hand back what was prefetched."""
    pull = _Pull(client, stream, durable, batch=1)
    with driver_errors():
        await pull.open()
    consumer = _Consumer(client, pull)
    try:
        yield consumer
    finally:
        await consumer.close()


class _Consumer:
    """Implements `cwt_runtime.bus.Consumer`."""

    def __init__(self, client: OrderedClient, pull: _Pull) -> None:
        self._client = client
        self._pull = pull

    async def next(self) -> Delivery:
        """Wait for the next message, through outages of the server."""
        while True:
            try:
                with driver_errors():
                    return _Delivery(self._client, await self._pull.next())
            except _ConsumerGoneError:
                continue  # the server is coming up: the queue is declared and kept on disk

    async def close(self) -> None:
        """Hand back what was prefetched and stop."""
        try:
            await self._pull.close()
            for msg in self._pull.take_buffered():
                await msg.nak()
        except nats.errors.Error:
            pass  # the connection is gone: the server hands it out again after the deadline


class _Delivery:
    """Implements `cwt_runtime.bus.Delivery`."""

    def __init__(self, client: OrderedClient, msg: Msg) -> None:
        self._client = client
        self._msg = msg
        place = AckSubject.parse(msg.reply)
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
        self._pull: _Pull | None = None
        #: The consumer's own number of the next message, if there is no hole.
        self._expected = 1

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> StoredMessage:
        while True:
            pull = self._pull or await self._open()
            try:
                with driver_errors():
                    msg = await pull.next()
            except _ConsumerGoneError:
                await self.close()
                continue
            except _NoMessagesError:
                raise StopAsyncIteration from None
            place = AckSubject.parse(msg.reply)
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

    async def _open(self) -> _Pull:
        """Make a consumer that starts where the reading stands."""
        config = self._config.evolve(**self._start())
        while True:
            try:
                with driver_errors():
                    info = await self._client.js.add_consumer(self._stream, config)
                    pull = _Pull(
                        self._client,
                        self._stream,
                        info.name,
                        batch=READ_BATCH,
                        # A message that is larger than a request's bytes would never come.
                        max_bytes=self._client.max_payload + OVERHEAD_BYTES,
                        no_wait=not self._follow,
                    )
                    await pull.open()
            except BusError as error:
                if not error.transient:
                    raise
                await anyio.sleep(RETRY_S)
            else:
                self._pull, self._expected = pull, 1
                return pull

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


class _ConsumerGoneError(Exception):
    """The consumer does not exist (any more), or its stream is not up yet."""


class _NoMessagesError(Exception):
    """The consumer has passed on everything that its stream holds."""


class _Pull:
    """One reader's share of a pull consumer.

    With `no_wait`, the server answers that there is nothing instead of waiting for new messages,
    and `next` raises `_NoMessagesError`.
    """

    def __init__(
        self,
        client: OrderedClient,
        stream: str,
        consumer: str,
        *,
        batch: int,
        max_bytes: int = MAX_BYTES,
        no_wait: bool = False,
    ) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._batch = batch
        self._max_bytes = max_bytes
        self._no_wait = no_wait
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._number = 0
        #: What the present request has not brought yet.
        self._wanted = 0
        #: The present request is considered lost: its inbox has to go before the next one.
        self._lost = False
        #: Status and description of a refusal that `next` has not seen.
        self._refusal: tuple[str, str] | None = None
        #: The server answered that there is nothing left; only with `no_wait`.
        self._is_empty = False
        self._arrived: deque[Msg] = deque()
        self._word = anyio.Event()

    async def open(self) -> None:
        """Listen for what will be pulled, in place of what was listened to before."""
        old, self._inbox = self._subscription, self._client.new_inbox()
        with anyio.CancelScope(shield=True):  # two lines into the connection's buffer
            self._subscription = await self._client.subscribe_straight(
                f"{self._inbox}.*", partial(self._take, self._inbox)
            )
            if old is not None:
                await old.unsubscribe()

    async def next(self) -> Msg:
        """Wait for the next message.

        Raises
        ------
        _ConsumerGoneError
            The consumer no longer exists; with `no_wait`, also if the answer to a request is lost.
        _NoMessagesError
            With `no_wait`: nothing is left.
        BusClosedError
            The connection is closed for good.
        """
        await anyio.lowlevel.checkpoint()
        while not self._arrived:
            if self._client.is_closed:
                raise BusClosedError("the connection to NATS is closed")
            if self._refusal is not None:
                await self._yield_to_refusal(*self._refusal)
            elif self._is_empty:
                raise _NoMessagesError
            elif self._wanted <= 0:
                await self._request()
            else:
                await self._listen()
        return self._arrived.popleft()

    def take_buffered(self) -> list[Msg]:
        """Take out what has arrived and nobody has asked for yet."""
        messages = list(self._arrived)
        self._arrived.clear()
        return messages

    async def close(self) -> None:
        """Stop listening."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            await subscription.unsubscribe()

    async def _request(self) -> None:
        if not self._client.is_connected:
            await anyio.sleep(RECONNECT_POLL_S)
            return
        self._number += 1
        self._wanted = self._batch
        if self._lost:
            if self._no_wait:
                # What the request brought too late is gone: the next answer would be "no messages".
                raise _ConsumerGoneError("the answer to a request is lost")
            self._lost = False
            await self.open()
        body: dict[str, int] = {"batch": self._batch, "max_bytes": self._max_bytes}
        if self._no_wait:
            body["no_wait"] = True
        else:
            body["expires"] = int(EXPIRES_S * NANOSECONDS)
            body["idle_heartbeat"] = int(HEARTBEAT_S * NANOSECONDS)
        await self._client.publish(
            self._subject, json.dumps(body).encode(), reply=f"{self._inbox}.{self._number}"
        )

    async def _listen(self) -> None:
        # A timer, not a cancel scope, which would cost more than the rest of the wait.
        word = self._word
        timer = asyncio.get_running_loop().call_later(SILENCE_S, self._miss, word)
        try:
            await word.wait()
        finally:
            timer.cancel()

    def _miss(self, word: anyio.Event) -> None:
        """Consider the present request lost if there was no word since the timer started."""
        if not word.is_set():
            self._wanted = 0
            self._lost = True
            self._say()

    async def _yield_to_refusal(self, status: str, detail: str) -> None:
        self._refusal = None
        await anyio.sleep(REFUSED_WAIT_S)
        if status == NO_RESPONDERS or "Deleted" in detail:
            raise _ConsumerGoneError(detail or "no such consumer")

    async def _take(self, inbox: str, msg: Msg) -> None:
        if inbox != self._inbox:
            if msg.reply:
                with suppress(nats.errors.Error):  # else it is handed out again after the deadline
                    await msg.nak()
            return
        if msg.reply:
            self._wanted -= 1
            self._arrived.append(msg)
        else:
            self._take_status(msg)
        self._say()

    def _say(self) -> None:
        """Wake whoever listens."""
        self._word.set()
        self._word = anyio.Event()

    def _take_status(self, msg: Msg) -> None:
        headers = msg.headers or {}
        status = headers.get("Status", HEARTBEAT)
        if status == HEARTBEAT or not msg.subject.endswith(f".{self._number}"):
            return
        self._wanted = 0
        detail = headers.get("Description", "")
        self._is_empty = self._no_wait and status == NO_MESSAGES
        if status in {NO_RESPONDERS, CONFLICT} and detail not in FULFILLED:
            self._refusal = (status, detail)
