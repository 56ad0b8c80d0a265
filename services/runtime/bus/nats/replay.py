"""Reading a stream in order, without a hole, through restarts of the server.

An ephemeral consumer without acknowledgements delivers in order, but what was on the wire when a
connection broke is lost. The consumer's own sequence shows it: a jump means a hole, and a new
consumer starts right after the last message that was passed on.

Where the reading stands is in fields, not in a suspended generator, so a read that is cancelled
or fails loses nothing: the next one goes on.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import nats.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from services.runtime.bus import StoredMessage
from services.runtime.bus.errors import BusError
from services.runtime.bus.nats.client import OrderedClient
from services.runtime.bus.nats.message import AckSubject, stored_message_of
from services.runtime.bus.nats.pull import ConsumerGoneError, NoMessagesError, Pull
from services.runtime.bus.nats.translate import driver_errors

__all__ = ["NatsReplay"]

#: Messages asked for at once, as far as the bytes of one request reach, which is one large message:
#: a process may read hundreds of subjects.
BATCH = 64
#: Subject and headers of a message, and what the server counts besides.
OVERHEAD_BYTES = 64 * 1024
#: The server forgets a reader that has not pulled for so long.
INACTIVE_S = 60.0
#: Pause before trying again to make a consumer on a server that is coming up.
RETRY_S = 0.25
#: Of the count of nanoseconds.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class NatsReplay:
    """Every message on `subjects` from a place and a time on, each once, in order.

    With `newest`, it begins with the newest message of each subject instead. With `follow`, it
    waits for new messages without end; otherwise it ends when it has caught up, whatever was
    removed from the stream meanwhile.
    """

    def __init__(
        self,
        client: OrderedClient,
        js: JetStreamContext,
        stream: str,
        subjects: tuple[str, ...],
        start_seq: int,
        start_time_ns: int | None = None,
        *,
        newest: bool = False,
        headers_only: bool = False,
        follow: bool = True,
    ) -> None:
        self._client = client
        self._js = js
        self._stream = stream
        self._subjects = subjects
        self._next_seq = max(start_seq, 1)
        #: None once a message was passed on: from there on the sequence says where.
        self._start_time_ns = start_time_ns
        #: False once a message was passed on.
        self._newest = newest
        self._headers_only = headers_only
        self._follow = follow
        self._pull: Pull | None = None
        #: The consumer's own number of the next message, if there is no hole.
        self._expected = 1

    def __aiter__(self) -> NatsReplay:
        return self

    async def __anext__(self) -> StoredMessage:
        while True:
            pull = self._pull or await self._open()
            try:
                with driver_errors():
                    msg = await pull.next()
            except ConsumerGoneError:
                await self.close()
                continue
            except NoMessagesError:
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

    async def _open(self) -> Pull:
        """Make a consumer that starts where the reading stands."""
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            filter_subjects=list(self._subjects),
            inactive_threshold=INACTIVE_S,
            mem_storage=True,
            num_replicas=1,
            headers_only=self._headers_only,
        ).evolve(**self._start())
        while True:
            try:
                with driver_errors():
                    info = await self._js.add_consumer(self._stream, config)
                    # A message that is larger than a request's bytes would never come.
                    largest = self._client.max_payload + OVERHEAD_BYTES
                    pull = Pull(
                        self._client,
                        self._stream,
                        info.name,
                        batch=BATCH,
                        max_bytes=largest,
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
        start = BEGINNING + timedelta(microseconds=self._start_time_ns // 1000)
        return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": start}
