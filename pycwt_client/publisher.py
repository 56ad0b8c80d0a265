"""The way of a device's samples into the log: every chunk kept once.

Rules
-----
- A chunk's message id is ``<stream>/<epoch>/<first_sample>+<samples>``: sending it again changes
  nothing, and a chunk that begins at the same sample and has more is another one. So samples that
  are sent again in chunks cut otherwise are all kept; ingest drops those that it knows.
- Chunks are sent in order, the first of an epoch by itself, and each waits until all but the last
  `in_flight` - 1 before it are kept. So one that is lost on its way, which nobody knows for some
  seconds, is overtaken by at most so many, which ingest puts in order. With ``in_flight=1`` the
  order is strict.
- What fails for a passing reason is sent again until it is kept or the policy's tries are used up.
  Meanwhile no new chunk goes out.
- A chunk that cannot be kept, as when the log is full, ends the publishing: the error reaches the
  caller at the next call or on leaving the context, and `first_unkept` says from where on to send
  again. Nothing is left out silently.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import anyio
import numpy as np
from anyio.abc import TaskGroup

from cwt_runtime.bus import DurableLog, StoreAck
from cwt_runtime.bus.errors import BusError
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.storage.publish import publish_with_retry
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode, encode_raw_chunk, validated
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.limits import MAX_CHUNK_SAMPLES
from cwt_schemas.live import SignalChunk
from pycwt_client.chunks import Batch, Piece, cut
from pycwt_client.log import library_log
from pycwt_client.signals import Samples, as_samples

__all__ = [
    "BATCH_S",
    "IN_FLIGHT",
    "PATIENT",
    "ChunkEncoding",
    "Publisher",
    "Sending",
    "new_epoch",
    "open_publisher",
]

ChunkEncoding = Literal[ContentType.OCTETS, ContentType.MSGPACK]

#: About half a minute in all: a restart of the server or an election takes a few seconds.
PATIENT = RetryPolicy(first_delay_s=0.1, factor=2.0, max_delay_s=5.0, max_tries=12)
#: Enough to hide the way to a server some milliseconds away; more would only wait longer in order.
IN_FLIGHT = 8
#: What is pushed leaves after so long: short against a hop, and fifty chunks a second cost little.
BATCH_S = 0.02
#: Larger chunks are cut: a message takes memory at every station, and the server handles small
#: ones as fast. Below what any server takes by default.
MAX_CHUNK_BYTES = 1000 * 1000


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How a publisher sends."""

    in_flight: int = IN_FLIGHT
    encoding: ChunkEncoding = ContentType.OCTETS
    retry: RetryPolicy = PATIENT
    #: What is pushed is sent once there are so many samples, or after so many seconds.
    batch_samples: int = MAX_CHUNK_SAMPLES
    batch_s: float = BATCH_S

    def __post_init__(self) -> None:
        for name in ("in_flight", "batch_samples"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name}={value} has to be at least 1")
        if self.batch_s <= 0:
            raise ValueError(f"batch_s={self.batch_s:g} has to be > 0")


@dataclass(frozen=True)
class _Message:
    first_sample: int
    id: str
    headers: dict[str, str]
    body: bytes


@dataclass
class _OnItsWay:
    """A chunk that was sent, and whether it is kept, or given up."""

    done: bool = False


class Publisher:
    """Publishes the samples of one stream; `Client.publisher` opens one.

    `publish` sends a chunk as it is given; `push` takes samples as they come, even one by one, and
    joins them to chunks.

    Attributes
    ----------
    epoch : str
        Name of the present run.
    next_sample : int
        Position that the next sample gets when the call says none.
    kept, duplicates, resent : int
        Chunks acknowledged, how many of them were in the log before, and how many had to be sent
        again.
    first_unkept : int or None
        After a failure: the lowest position that may not be kept.
    """

    def __init__(
        self, log: DurableLog, tasks: TaskGroup, *, stream: str, epoch: str, sending: Sending
    ) -> None:
        self._log = log
        self._tasks = tasks
        self._stream = stream
        self._subject = subjects.signal(stream)
        self._sending = sending
        self._batch = Batch(enough=sending.batch_samples)
        self._batch_since = 0.0
        self._batch_begun = anyio.Event()
        self._ticking: anyio.CancelScope | None = None
        self._outbox: deque[_Message] = deque()
        self._slots = anyio.Semaphore(sending.in_flight)
        #: In the order in which they were sent: each has its slot until those before it are done.
        self._on_their_way: deque[_OnItsWay] = deque()
        #: Whose chunk goes out next, and that no chunk is being sent again.
        self._turn, self._in_order = anyio.Lock(), anyio.Lock()
        #: The next chunk is the first of its epoch; whether that one is kept, or there is none.
        self._leads, self._leader_kept = True, anyio.Event()
        self._leader_kept.set()
        self._records = library_log()
        self._failure: BusError | ContractError | None = None
        self._closed = False
        self._ended = False
        self.epoch = epoch
        self.next_sample = 0
        self.kept = 0
        self.duplicates = 0
        self.resent = 0
        self.first_unkept: int | None = None

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
            The samples are nothing that a chunk can have.
        """
        self._check_going_on()
        await self.flush()
        whole, sent = self._piece(samples, first_sample, t0_ns), self.next_sample
        self.next_sample = whole.next_sample  # another call goes on from there meanwhile
        try:
            for piece in cut(whole, MAX_CHUNK_BYTES):
                await self._send(self._message(piece))
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
        piece = self._piece(samples, first_sample, t0_ns)
        piece = replace(piece, samples=piece.samples.copy())
        self._queue(self._batch.push(piece))
        self.next_sample = piece.next_sample
        if len(self._batch) > 0 and not self._batch_begun.is_set():
            self._batch_since = anyio.current_time()
            self._batch_begun.set()
            if self._ticking is None:
                self._ticking = anyio.CancelScope()
                self._tasks.start_soon(self._tick, self._ticking)
        await self._send_queued()

    async def flush(self) -> None:
        """Send what was pushed, without waiting for more of it, nor for acknowledgements."""
        self._queue(self._batch.take())
        await self._send_queued()

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
        samples = np.zeros(0, np.float32)
        end = SignalChunk(
            epoch=self.epoch, first_sample=self.next_sample, samples=samples, final=True
        )
        message = self._encoded(end, self.next_sample)
        await self._stored(message)
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
        self.next_sample = 0
        self._leads = True
        self._ended = False

    def raise_failure(self) -> None:
        """Raise what kept a chunk from being kept, if anything did."""
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Send what was pushed; leaving the context does this."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        if self._failure is None:
            await self.flush()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"this publisher of {self._stream} is closed")

    def _check_going_on(self) -> None:
        self._check_open()
        if self._ended:
            raise RuntimeError(f"the epoch {self.epoch} has ended: restart() begins another")

    def _piece(self, samples: Samples, first_sample: int | None, t0_ns: int | None) -> Piece:
        first = self.next_sample if first_sample is None else first_sample
        return Piece(first_sample=first, t0_ns=t0_ns, samples=as_samples(samples))

    def _message(self, piece: Piece) -> _Message:
        fields = {
            "epoch": self.epoch,
            "first_sample": piece.first_sample,
            "t0_ns": piece.t0_ns,
            "samples": piece.samples,
        }
        return self._encoded(validated(SignalChunk, fields), piece.first_sample)

    def _encoded(self, chunk: SignalChunk, first: int) -> _Message:
        if self._sending.encoding is ContentType.OCTETS:
            headers, body = encode_raw_chunk(chunk)
        else:
            headers = {CONTENT_TYPE: self._sending.encoding.value}
            body = encode(chunk, self._sending.encoding)
        msg_id = f"{self._stream}/{self.epoch}/{first}+{chunk.n_samples}"
        return _Message(first, msg_id, headers, body)

    def _queue(self, pieces: list[Piece]) -> None:
        """Note what is to be sent; a call that is cancelled leaves it here for the next one."""
        if pieces:
            self._batch_begun = anyio.Event()
        for piece in pieces:
            try:
                self._outbox.extend([self._message(part) for part in cut(piece, MAX_CHUNK_BYTES)])
            except ContractError as error:
                self._note_failure(error, piece.first_sample)
                raise

    async def _send_queued(self) -> None:
        while self._outbox:
            await self._send(None)

    async def _send(self, message: _Message | None) -> None:
        """Send `message`, or the first one that is queued."""
        await self._slots.acquire()
        try:
            async with self._turn:
                await self._leader_kept.wait()
                async with self._in_order:  # free, unless a chunk is being sent again
                    self.raise_failure()
                    if message is None and not self._outbox:
                        self._slots.release()  # another call has sent it
                        return
                    if self._leads:
                        self._leads, self._leader_kept = False, anyio.Event()
                    sent = _OnItsWay()
                    self._on_their_way.append(sent)
                    self._tasks.start_soon(self._keep, message or self._outbox.popleft(), sent)
        except BaseException:  # cancelled while waiting, too: the slot is the next chunk's
            self._slots.release()
            raise

    async def _all_kept(self) -> None:
        self._check_open()
        await self.flush()
        async with AsyncExitStack() as held:
            for _ in range(self._sending.in_flight):
                await held.enter_async_context(self._slots)
        self.raise_failure()

    async def _keep(self, message: _Message, sent: _OnItsWay) -> None:
        try:
            ack = await self._stored(message)
            self.kept += 1
            self.duplicates += ack.duplicate
        except (BusError, ContractError) as error:
            self._note_failure(error, message.first_sample)
        finally:
            self._leader_kept.set()
            sent.done = True
            while self._on_their_way and self._on_their_way[0].done:
                self._on_their_way.popleft()
                self._slots.release()

    async def _stored(self, message: _Message) -> StoreAck:
        try:
            return await self._log.store(
                self._subject, message.body, msg_id=message.id, headers=message.headers
            )
        except BusError as error:
            if not error.transient:
                raise
        self.resent += 1
        async with self._in_order:
            self.raise_failure()  # another chunk has waited long enough, for both
            return await publish_with_retry(
                self._log,
                self._subject,
                message.body,
                msg_id=message.id,
                headers=message.headers,
                log=self._records,
                policy=self._sending.retry,
            )

    def _note_failure(self, error: BusError | ContractError, first_sample: int) -> None:
        self._failure = self._failure or error
        lowest = first_sample if self.first_unkept is None else self.first_unkept
        self.first_unkept = min(lowest, first_sample)

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
    log: DurableLog, stream: str, epoch: str, *, sending: Sending
) -> AsyncIterator[Publisher]:
    """Yield a publisher; leaving the context waits until every chunk is kept."""
    fault: Exception | None = None
    tasks = anyio.create_task_group()
    publisher = Publisher(log, tasks, stream=stream, epoch=epoch, sending=sending)
    async with tasks:
        try:
            yield publisher
            await publisher.close()
        except Exception as error:  # noqa: BLE001 - raised below, outside the group, as it was
            fault = error
            tasks.cancel_scope.cancel()
    if fault is not None:
        raise fault
    publisher.raise_failure()
