"""Publish the samples and markers of a device.

Rules
-----
- `pycwt_client.chunk_sender` stores every chunk exactly once. A chunk that cannot be stored ends
  the publishing: the next call, or leaving the context, raises the error.
- Markers are sent concurrently, at most `in_flight` at a time, and do not delay chunks. A marker
  that cannot be stored ends the sending of markers, but not the publishing.
- Ingest may reject a stored chunk, for example if another publisher has begun a new epoch. The
  events of the stream report this; `feedback` receives them.
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
    """Publish the samples of one stream; `Client.publisher` opens a publisher.

    `publish` sends each call's samples as a chunk. `push` accepts any number of samples per call,
    even one, and joins them into chunks.

    Attributes
    ----------
    stream : str
        Name of the stream.
    epoch : str
        Name of the current run of the device.
    next_sample : int
        Default position of the next sample.
    known_samples : int
        Position that ingest had reached in the epoch when the publisher was opened. Samples below
        it need not be published again. 0 for a new epoch, or if ingest did not reply.
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
        """Number of chunks that are stored."""
        return self._chunks.kept

    @property
    def duplicates(self) -> int:
        """Number of retried chunks that were already in the log."""
        return self._chunks.duplicates

    @property
    def resent(self) -> int:
        """Number of chunks that were retried."""
        return self._chunks.resent

    @property
    def first_unkept(self) -> int | None:
        """Lowest position that may not be stored after a failure; None without a failure."""
        return self._chunks.first_unkept

    @property
    def last_seq(self) -> int:
        """Sequence number in the signal log of the last stored chunk.

        `StreamStatus.last_seq` is the last sequence number that ingest has processed.
        """
        return self._chunks.last_seq

    @property
    def markers(self) -> int:
        """Number of markers that are stored."""
        return self._markers.stored

    @property
    def events(self) -> tuple[StreamEvent, ...]:
        """Up to 1000 of the newest events of the stream since the publisher was opened.

        They include events about the samples of other publishers. Events that occur while the
        connection is lost are missing; `Client.events` reads all.
        """
        return () if self._feedback is None else tuple(self._feedback.events)

    @property
    def refused(self) -> tuple[StreamEvent, ...]:
        """The `events` that report rejected samples of the current epoch."""
        return tuple(e for e in self.events if e.kind == "rejected" and e.epoch == self.epoch)

    async def publish(
        self, samples: Samples, *, first_sample: int | None = None, t0_ns: int | None = None
    ) -> None:
        """Send a chunk, as soon as fewer than `in_flight` chunks are unacknowledged.

        A chunk above 1 MB is split. A call that is cancelled while it waits has sent nothing, or
        only the first parts of a split chunk.

        Parameters
        ----------
        samples
            (time,) or (time, channel); NaN is a missing sample.
        first_sample
            Position of the first sample; by default right after the last published one.
        t0_ns
            Time of the first sample, nanoseconds UTC.

        Raises
        ------
        BusError
            An earlier chunk could not be stored; `StorageFullError` if the log is full.
        Unprocessable, ValueError
            The samples are not valid, or their number of channels differs from the stream's.
        """
        self._check_going_on()
        await self.flush()
        checked = await self._checked(samples)
        whole, sent = self._piece(checked, first_sample, t0_ns), self.next_sample
        self.next_sample = whole.next_sample  # another call may continue from there meanwhile
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
        """Add samples, one or many; they are sent in chunks within `batch_s` seconds.

        The samples are copied, so the array can be reused immediately. Parameters and errors are
        those of `publish`. If the call is cancelled while it waits, the samples have been added.

        Raises
        ------
        ValueError
            The number of channels differs from that of the previous push.
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
        """Send a marker in the current epoch, without waiting for its acknowledgement.

        Leaving the context waits until all markers are stored.

        Parameters
        ----------
        text
            Text of the note.
        first_sample, t_ns
            Its position, or its time in nanoseconds UTC; by default the position of the next
            sample.
        n_samples, duration_s
            Its length in samples or seconds. Without either, the marker is a point in time.
        channel
            Channel that the marker is about; None means all channels.

        Raises
        ------
        BusError
            An earlier marker could not be stored.
        Unprocessable
            The marker is not valid.
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
        """Send the pushed samples without waiting for `batch_samples` or for acknowledgements."""
        self._queue(self._batch.take())
        await self._chunks.send_queued()

    async def finish(self) -> None:
        """End the epoch, so that its last results are computed without further samples.

        Waits until every chunk is stored, so that the final chunk is the last one in the log. After
        this nothing can be published until `restart`.

        Raises
        ------
        BusError
            A chunk, or the final one, could not be stored.
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
        """Begin a new epoch, as after a restart of the device; positions begin at 0.

        Parameters
        ----------
        epoch
            Name of the epoch; by default derived from the current time.

        Raises
        ------
        BusError
            A chunk of the previous epoch could not be stored.
        """
        await self._all_kept()
        self.epoch = new_epoch() if epoch is None else epoch
        self.next_sample = self.known_samples = 0
        self._chunks.begin_epoch()
        self._ended = False

    def raise_failure(self) -> None:
        """Raise the error that ended the publishing, if any."""
        self._chunks.raise_failure()

    def explain_failure(self) -> None:
        """Add a note to the failure: which samples are not stored, and how to continue."""
        if self._chunks.failure is not None:
            self._chunks.failure.add_note(
                f"Sample {self.first_unkept} of epoch {self.epoch} of {self.stream} is the first "
                "that is not stored: publish from there under the same epoch; stored samples are "
                "analysed once."
            )

    async def close(self) -> None:
        """Send the pushed samples; used on leaving the context."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        if self._chunks.failure is None:
            await self.flush()

    async def settled(self) -> None:
        """Wait until each chunk that was sent is stored or given up."""
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
            raise RuntimeError(
                f"cannot publish to {self.stream}: the publisher is closed; open another"
            )

    def _check_going_on(self) -> None:
        self._check_open()
        if self._ended:
            raise RuntimeError(
                f"cannot publish: epoch {self.epoch} has ended; call restart() to begin another"
            )

    async def _checked(self, samples: Samples) -> Samples:
        converted = as_samples(samples)
        if self._feedback is not None and converted.size:
            await self._feedback.check_channels(converted)
        return converted

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
        """Queue pieces to send."""
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
        """Send the pushed samples once they have waited for `batch_s`."""
        with scope:
            while True:
                await self._batch_begun.wait()
                due = self._batch_since + self._sending.batch_s
                if anyio.current_time() < due:
                    await anyio.sleep_until(due)
                    continue  # the samples may have been sent meanwhile, and others added
                try:
                    await self.flush()
                except (BusError, ContractError):
                    return  # stored: the next call raises it


def new_epoch() -> str:
    """Return a name for an epoch that begins now; names sort by time."""
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
    """Yield a publisher; leaving the context waits until every chunk is stored.

    Raises
    ------
    NotFound
        `defined` is true, and the stream is not defined.
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
