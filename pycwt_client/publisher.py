"""The samples and markers of a device on their way into the logs.

Rules
-----
- `pycwt_client.chunk_sender` keeps every chunk once. A chunk that cannot be kept ends the
  publishing: the error reaches the caller at the next call or on leaving the context.
- Markers are sent alongside, `in_flight` at a time, and hold up no chunk. One that cannot be stored
  ends the marking, not the publishing.
- What is kept may still be refused by ingest, as when another publisher has begun a new epoch. The
  stream's events report it; `feedback` hears them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import numpy as np
from anyio.abc import TaskGroup

from cwt_runtime.bus import DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_schemas import subjects
from cwt_schemas.codec import validated
from cwt_schemas.errors import ContractError
from cwt_schemas.live import SignalChunk, StreamEvent
from cwt_schemas.marker import Marker
from pycwt_client.chunk_messages import MAX_CHUNK_BYTES, ChunkMessage
from pycwt_client.chunk_sender import ChunkSender
from pycwt_client.chunks import Batch, Piece, cut
from pycwt_client.feedback import StreamFeedback
from pycwt_client.markers import MarkerSender
from pycwt_client.sending import Sending
from pycwt_client.signals import Samples, as_samples

__all__ = ["Publisher", "new_epoch", "open_publisher"]


class Publisher:
    """Publishes the samples of one stream; `Client.publisher` opens one.

    `publish` sends a chunk as it is given; `push` takes samples as they come, even one by one, and
    joins them to chunks.

    Attributes
    ----------
    stream : str
        Name of the stream.
    epoch : str
        Name of the present run.
    next_sample : int
        Position that the next sample gets when the call says none.
    known_samples : int
        Where ingest stood in the epoch when the publisher was opened: samples below this position
        need not be published again. 0 for a new epoch, or where ingest did not answer.
    """

    def __init__(
        self,
        log: DurableLog,
        tasks: TaskGroup,
        *,
        stream: str,
        epoch: str,
        sending: Sending,
        feedback: StreamFeedback | None = None,
    ) -> None:
        self._tasks = tasks
        self._feedback = feedback
        self.stream = stream
        self._sending = sending
        self._batch = Batch(enough=sending.batch_samples)
        self._batch_since = 0.0
        self._batch_begun = anyio.Event()
        self._ticking: anyio.CancelScope | None = None
        self._chunks = ChunkSender(log, tasks, subject=subjects.signal(stream), sending=sending)
        self._markers = MarkerSender(log, tasks, in_flight=sending.in_flight, retry=sending.retry)
        self._closed = False
        self._ended = False
        self.epoch = epoch
        self.next_sample = 0
        self.known_samples = 0

    @property
    def kept(self) -> int:
        """Chunks that are kept."""
        return self._chunks.kept

    @property
    def duplicates(self) -> int:
        """Of the chunks that had to be sent again, those that were in the log already."""
        return self._chunks.duplicates

    @property
    def resent(self) -> int:
        """Chunks that had to be sent again."""
        return self._chunks.resent

    @property
    def first_unkept(self) -> int | None:
        """After a failure: the lowest position that may not be kept."""
        return self._chunks.first_unkept

    @property
    def last_seq(self) -> int:
        """Place in the signal log of the last chunk that is kept.

        `StreamStatus.last_seq` says how far ingest has read.
        """
        return self._chunks.last_seq

    @property
    def markers(self) -> int:
        """Markers that are stored."""
        return self._markers.stored

    @property
    def events(self) -> tuple[StreamEvent, ...]:
        """Events of the stream since the publisher was opened, the newest 1000.

        Among them are those about other publishers' samples. Events that occur while the connection
        is lost are not heard; `Client.events` reads all.
        """
        return () if self._feedback is None else tuple(self._feedback.events)

    @property
    def refused(self) -> tuple[StreamEvent, ...]:
        """Of `events`, those that say that samples of the present epoch are refused."""
        return tuple(e for e in self.events if e.kind == "rejected" and e.epoch == self.epoch)

    async def publish(
        self, samples: Samples, *, first_sample: int | None = None, t0_ns: int | None = None
    ) -> None:
        """Send a chunk, as soon as fewer than `in_flight` wait for their acknowledgement.

        A chunk above 1 MB goes out in several. A call that is cancelled while it waits has sent
        nothing, or the first ones of those.

        Parameters
        ----------
        samples
            (time,) or (time, channel); NaN is a missing sample.
        first_sample
            Position of the first one; None: right after the last one.
        t0_ns
            When the first one was taken, nanoseconds UTC.

        Raises
        ------
        BusError
            An earlier chunk could not be kept; `StorageFullError`: because the log is full.
        Unprocessable, ValueError
            The samples are nothing that a chunk can have, or have other channels than the stream.
        """
        self._check_going_on()
        await self.flush()
        checked = await self._checked(samples)
        whole, sent = self._piece(checked, first_sample, t0_ns), self.next_sample
        self.next_sample = whole.next_sample  # another call goes on from there meanwhile
        try:
            for piece in cut(whole, MAX_CHUNK_BYTES):
                await self._chunks.send(self._message(piece))
                sent = piece.next_sample
        finally:
            if self.next_sample == whole.next_sample:
                self.next_sample = sent

    async def push(
        self, samples: Samples, *, first_sample: int | None = None, t0_ns: int | None = None
    ) -> None:
        """Take samples, one or many; they leave in chunks within `batch_s` seconds.

        They are copied: an array can be filled again at once. Parameters and errors are those of
        `publish`. A call that is cancelled while it waits has taken the samples.

        Raises
        ------
        ValueError
            There are other channels than in the push before.
        """
        self._check_going_on()
        self.raise_failure()
        piece = self._piece(await self._checked(samples), first_sample, t0_ns)
        piece = replace(piece, samples=piece.samples.copy())
        self._queue(self._batch.push(piece))
        self.next_sample = piece.next_sample
        if len(self._batch) > 0 and not self._batch_begun.is_set():
            self._batch_since = anyio.current_time()
            self._batch_begun.set()
            if self._ticking is None:
                self._ticking = anyio.CancelScope()
                self._tasks.start_soon(self._tick, self._ticking)
        await self._chunks.send_queued()

    async def mark(
        self,
        text: str,
        *,
        first_sample: int | None = None,
        t_ns: int | None = None,
        n_samples: int | None = None,
        duration_s: float | None = None,
        channel: str | None = None,
    ) -> None:
        """Send a marker of the present epoch, without waiting for its acknowledgement.

        Leaving the context waits until all markers are stored.

        Parameters
        ----------
        text
            What is noted.
        first_sample, t_ns
            Its position, or its time in nanoseconds UTC; neither: the next sample.
        n_samples, duration_s
            Its length, in samples or seconds; neither: a moment.
        channel
            The channel it is about; None: all of them.

        Raises
        ------
        BusError
            An earlier marker could not be stored.
        Unprocessable
            There is no such marker.
        """
        self._check_open()
        if first_sample is None and t_ns is None:
            first_sample = self.next_sample
        fields = {
            "stream": self.stream, "epoch": self.epoch, "first_sample": first_sample, "t_ns": t_ns,
            "n_samples": n_samples, "duration_s": duration_s, "channel": channel, "text": text,
        }  # fmt: skip
        await self._markers.send(validated(Marker, fields))

    async def flush(self) -> None:
        """Send what was pushed, without waiting for more of it, nor for acknowledgements."""
        self._queue(self._batch.take())
        await self._chunks.send_queued()

    async def finish(self) -> None:
        """Say that the epoch ends here, so that its last results come without more samples.

        Waits until every chunk is kept, so that this is the last one in the log. Until `restart`,
        nothing more can be published.

        Raises
        ------
        BusError
            A chunk, or this word, could not be kept.
        """
        await self._all_kept()
        if self._ended:
            return
        samples = np.zeros(0, np.float32)
        end = SignalChunk(
            epoch=self.epoch, first_sample=self.next_sample, samples=samples, final=True
        )
        await self._chunks.store(self._encoded(end, self.next_sample))
        self._ended = True

    async def restart(self, epoch: str | None = None) -> None:
        """Go on in a new epoch, as after the device was started again: positions begin at 0.

        Parameters
        ----------
        epoch
            Its name; None: one made of the time now.

        Raises
        ------
        BusError
            A chunk of the epoch before could not be kept.
        """
        await self._all_kept()
        self.epoch = new_epoch() if epoch is None else epoch
        self.next_sample = self.known_samples = 0
        self._chunks.begin_epoch()
        self._ended = False

    def raise_failure(self) -> None:
        """Raise what kept a chunk from being kept, if anything did."""
        self._chunks.raise_failure()

    def explain_failure(self) -> None:
        """Add to a failure what is not kept, and how to go on; leaving the context does this."""
        if self._chunks.failure is not None:
            self._chunks.failure.add_note(
                f"Of epoch {self.epoch} of {self.stream}, sample {self.first_unkept} is the first "
                "that is not kept: publish from there under the same epoch; what is kept is "
                "analysed once."
            )

    async def close(self) -> None:
        """Send what was pushed; leaving the context does this."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        if self._chunks.failure is None:
            await self.flush()

    async def settled(self) -> None:
        """Wait until each chunk that was sent is kept or given up."""
        await self._chunks.settled()

    async def markers_settled(self) -> None:
        """Wait until each marker is stored.

        Raises
        ------
        BusError
            A marker could not be stored.
        """
        await self._markers.settled()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"this publisher of {self.stream} is closed")

    def _check_going_on(self) -> None:
        self._check_open()
        if self._ended:
            raise RuntimeError(f"the epoch {self.epoch} has ended: restart() begins another")

    async def _checked(self, samples: Samples) -> Samples:
        found = as_samples(samples)
        if self._feedback is not None and found.size:
            await self._feedback.check_channels(found)
        return found

    def _piece(self, samples: Samples, first_sample: int | None, t0_ns: int | None) -> Piece:
        first = self.next_sample if first_sample is None else first_sample
        return Piece(first_sample=first, t0_ns=t0_ns, samples=samples)

    def _message(self, piece: Piece) -> ChunkMessage:
        fields = {
            "epoch": self.epoch,
            "first_sample": piece.first_sample,
            "t0_ns": piece.t0_ns,
            "samples": piece.samples,
        }
        return self._encoded(validated(SignalChunk, fields), piece.first_sample)

    def _encoded(self, chunk: SignalChunk, first: int) -> ChunkMessage:
        return ChunkMessage.of(self.stream, chunk, first, self._sending.encoding)

    def _queue(self, pieces: list[Piece]) -> None:
        """Note what is to be sent."""
        if pieces:
            self._batch_begun = anyio.Event()
        for piece in pieces:
            try:
                self._chunks.queue([self._message(part) for part in cut(piece, MAX_CHUNK_BYTES)])
            except ContractError as error:
                self._chunks.note_failure(error, piece.first_sample)
                raise

    async def _all_kept(self) -> None:
        self._check_open()
        await self.flush()
        await self.settled()
        self.raise_failure()

    async def _tick(self, scope: anyio.CancelScope) -> None:
        """Send what was pushed when it has waited for `batch_s`."""
        with scope:
            while True:
                await self._batch_begun.wait()
                due = self._batch_since + self._sending.batch_s
                if anyio.current_time() < due:
                    await anyio.sleep_until(due)
                    continue  # it may have left meanwhile, and another one begun
                try:
                    await self.flush()
                except (BusError, ContractError):
                    return  # noted: the caller hears of it at the next call


def new_epoch() -> str:
    """Return a name for a run of a device that starts now; later ones sort behind it."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


@asynccontextmanager
async def open_publisher(
    log: DurableLog,
    stream: str,
    epoch: str,
    *,
    sending: Sending,
    feedback: StreamFeedback | None = None,
    defined: bool = True,
) -> AsyncIterator[Publisher]:
    """Yield a publisher; leaving the context waits until every chunk is kept.

    Raises
    ------
    NotFound
        `feedback` says that the stream is not defined, and it has to be: `defined`.
    """
    fault: Exception | None = None
    tasks = anyio.create_task_group()
    publisher = Publisher(
        log, tasks, stream=stream, epoch=epoch, sending=sending, feedback=feedback
    )
    async with tasks:
        try:
            if feedback is not None:
                tasks.start_soon(feedback.listen)
                await feedback.begin(epoch, defined=defined)
                publisher.known_samples = feedback.known_samples(epoch)
            yield publisher
            await publisher.close()
            await publisher.settled()
            publisher.raise_failure()
            await publisher.markers_settled()
        except Exception as error:  # noqa: BLE001 - raised below, outside the group, as it was
            fault = error
        tasks.cancel_scope.cancel()
    publisher.explain_failure()
    if fault is not None:
        raise fault
