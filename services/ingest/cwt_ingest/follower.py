"""Follow one stream through the signal log: chunks to the processor, outputs to the bus.

The delivery guarantee depends on this order: the server has stored a chunk's windows and events
before the next chunk is taken, and checkpoints are written only between chunks. After a crash in
between, some windows are published again under the same ids.

No message stops the follower. A chunk that the processor rejects is reported as an event and
skipped, also if decoding it crashes the process (`crash_guard`). Output that the server refuses
permanently is reported as dropped.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

import anyio

from cwt_ingest.backlog import LagMonitor
from cwt_ingest.crash_guard import UNFINISHED, CrashGuard
from cwt_ingest.estimate_publisher import EstimatePublisher
from cwt_ingest.ownership import Claim
from cwt_ingest.processor import LogEntry, Output, StreamProcessor, read_chunk
from cwt_ingest.stream_publisher import InterruptedPublishError, StreamPublisher, WindowQueue
from cwt_runtime.bus import DurableLog, StoredMessage
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.reading import read_body
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_runtime.telemetry.tracing import span
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType
from cwt_schemas.errors import ContractError, Internal
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import SignalChunk, StreamEvent
from cwt_schemas.message import clipped
from cwt_schemas.stream import StreamLag, StreamProgress

__all__ = ["ChunkReader", "Follower"]

ChunkReader = Callable[[Mapping[str, str], bytes, int], SignalChunk | ContractError]

#: Time between checkpoints, and so the longest time to process again after a restart.
CHECKPOINT_EVERY_S = 1.0
#: Replies of the server that a quiet period needs to count as quiet.
QUIET_LOOKS = 5
#: Pause before writing a required checkpoint again.
RETRY_S = 0.1


class Follower:
    """Read a stream from the oldest chunk that it needs, and continue with new chunks.

    Parameters
    ----------
    claim
        The stream, which is this process's.
    processor
        Its state, from the claim's checkpoint.
    queue
        Its share of the window queue.
    lag
        Decides when to report that the stream is behind.
    estimates
        Publishes the newest samples of analyses with provisional estimates.
    guarded_reading
        Held while a chunk is read after a crash, by one stream of the process at a time.
    read
        Decodes one message of the log.
    """

    def __init__(
        self,
        claim: Claim,
        processor: StreamProcessor,
        bus_log: DurableLog,
        queue: WindowQueue,
        lag: LagMonitor,
        log: Log,
        *,
        estimates: EstimatePublisher,
        guarded_reading: anyio.Lock,
        read: ChunkReader = read_chunk,
        save_every_s: float = CHECKPOINT_EVERY_S,
    ) -> None:
        self._claim = claim
        self._read_chunk = read
        self._estimates = estimates
        self._guarded_reading = guarded_reading
        self._guard = CrashGuard(claim.checkpoint, after_crash=claim.after_crash)
        self._processor = processor
        self._bus_log = bus_log
        self._queue = queue
        self._lag = lag
        self._log = log
        self._save_every_s = save_every_s
        self._writing = anyio.Lock()
        self._dirty = False
        self._newest: StoredMessage | None = None
        #: `_newest` at the last periodic check.
        self._seen: StoredMessage | None = None
        #: The state is ahead of the stored output: no checkpoint of it may be written.
        self._under_way = False

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._processor.definition.name

    def progress(self) -> StreamProgress:
        """Return the current progress of the stream."""
        return self._processor.progress().model_copy(update={"lag": self._measured()})

    async def run(self, stop: Stop) -> None:
        """Follow the stream until asked to stop, then release it.

        Raises
        ------
        OwnershipLostError
            In an exception group, if another process has claimed the stream.
        """
        admits = self._processor.admits
        publisher = StreamPublisher(
            self._bus_log,
            self._queue,
            stop,
            self._log,
            admits=admits,
            estimates=self._estimates,
        )
        subject = subjects.signal(self.stream)
        start = self._processor.replay_from_seq
        async with (
            anyio.create_task_group() as tasks,
            self._bus_log.replay(storage.SIGNALS, (subject,), start_seq=start) as messages,
        ):
            tasks.start_soon(self._look_regularly, publisher)
            tasks.start_soon(self._save_regularly)
            tasks.start_soon(self._estimates.run)
            with suppress(InterruptedPublishError):
                await self._follow(messages, publisher, stop)
            tasks.cancel_scope.cancel()
        metrics.LAG.remove(self.stream)
        await self._save()
        await self._let_go()

    async def _save_regularly(self) -> None:
        while True:
            await anyio.sleep(self._save_every_s)
            await self._save()

    async def _save(self) -> None:
        """Write the checkpoint if the stream has advanced; retry failures next time."""
        if not self._dirty:
            return
        try:
            await self._write()
        except BusError as error:
            self._log.warning(Action.CHECKPOINT_DELAYED, stream=self.stream, detail=str(error))

    async def _write(self) -> None:
        """Write the checkpoint after the last complete chunk, with the current lag."""
        async with self._writing:
            self._dirty = False
            newest = self._claim.checkpoint if self._under_way else self._processor.checkpoint()
            progress = newest.progress.model_copy(update={"lag": self._measured()})
            marks = self._guard.fields(newest.replay_from_seq)
            try:
                await self._claim.write(newest.model_copy(update={"progress": progress, **marks}))
            except BaseException:
                self._dirty = True  # also when cancelled: `run` saves once more when it ends
                raise

    async def _follow(
        self, messages: AsyncIterator[StoredMessage], publisher: StreamPublisher, stop: Stop
    ) -> None:
        quiet = 0
        while not stop.is_set():
            stored, wait_s = None, self._processor.waiting_s / QUIET_LOOKS or None
            with anyio.move_on_after(wait_s):
                stored = await stop.run_until_stopped(lambda: anext(messages))
            if stop.is_set():
                return
            if stored is not None:
                quiet = 0
                await self._take(stored, publisher)
            elif self._processor.waiting_s:
                quiet = quiet + 1 if await self._log_answers() else 0
                if quiet == QUIET_LOOKS:
                    quiet = 0
                    # After an outage, the log answers before its reader has caught up.
                    if await stop.run_until_stopped(self._has_unread) is False:
                        await self._release(publisher)

    async def _log_answers(self) -> bool:
        """Return whether the log is reachable; otherwise silence does not mean a quiet stream."""
        try:
            await self._bus_log.last_seq(storage.SIGNALS)
        except BusError:
            return False
        return True

    async def _take(self, stored: StoredMessage, publisher: StreamPublisher) -> None:
        self._newest = stored
        before = self._processor.accepted_samples
        with span("take chunk", stored.message.headers, stream=self.stream, seq=stored.seq):
            entry = LogEntry(
                seq=stored.seq,
                stored_ns=stored.stored_ns,
                chunk=await self._chunk_of(stored),
                now_ns=time.time_ns(),
                is_newest=stored.pending == 0,
            )
            await self._publish(self._processor.take(entry), publisher, entry)
        metrics.CHUNKS.labels(self.stream).inc()
        metrics.SAMPLES.labels(self.stream).inc(self._processor.accepted_samples - before)

    async def _chunk_of(self, stored: StoredMessage) -> SignalChunk | ContractError:
        """Return the content of a message; after a crash, mark it in the checkpoint first."""
        guard, seq = self._guard, stored.seq
        is_new = guard.is_on and seq > self._processor.last_seq
        if not is_new:
            return UNFINISHED if guard.leaves_out(seq) else await self._read(stored)
        async with self._guarded_reading:
            guard.begin(seq)
            await self._write_until_kept()
            if guard.leaves_out(seq):
                return UNFINISHED
            chunk = await self._read(stored)
            guard.finish()
            await self._write_until_kept()
            return chunk

    async def _read(self, stored: StoredMessage) -> SignalChunk | ContractError:
        headers, body = stored.message.headers, stored.message.data
        # Raw samples need no guard.
        size = 0 if headers.get(CONTENT_TYPE) == ContentType.OCTETS else len(body)
        channels = len(self._processor.definition.channels)
        try:
            return await read_body(size, self._read_chunk, headers, body, channels)
        except Exception as error:  # noqa: BLE001 - no chunk may stop the stream
            self._log.error(Action.CHUNK_FAILED, exc=error, stream=self.stream, seq=stored.seq)
            return Internal(f"the chunk could not be read: {type(error).__name__}")

    async def _release(self, publisher: StreamPublisher) -> None:
        """Release waiting chunks while the log is quiet, after recording it in the checkpoint."""
        self._processor.note_release()
        await self._write_until_kept()
        await self._publish(self._processor.release(time.time_ns()), publisher)

    async def _write_until_kept(self) -> None:
        while True:
            try:
                await self._write()
                return
            except BusError as error:  # no chunk may arrive in between; bounded, see membership
                self._log.warning(Action.CHECKPOINT_DELAYED, stream=self.stream, detail=str(error))
                await anyio.sleep(RETRY_S)

    async def _publish(
        self,
        outputs: Iterable[Output],
        publisher: StreamPublisher,
        entry: LogEntry | None = None,
    ) -> None:
        self._under_way = True
        try:
            await publisher.publish(outputs)
        except (BusError, BaseExceptionGroup, InterruptedPublishError):
            raise  # not caused by the chunk, which is taken again after the next start
        except Exception as error:  # noqa: BLE001 - no chunk may stop the stream
            seq = entry.seq if entry else self._processor.progress().last_seq
            self._log.error(Action.CHUNK_FAILED, exc=error, stream=self.stream, seq=seq)
            await publisher.publish(self._processor.failed(error, entry))
        self._under_way = False
        self._dirty = True

    async def _look_regularly(self, publisher: StreamPublisher) -> None:
        while True:
            await anyio.sleep(self._save_every_s)
            await self._look(publisher)

    async def _look(self, publisher: StreamPublisher) -> None:
        """Measure how far the stream is behind, and report it if it is too far."""
        try:
            if self._queue.backlog.windows:
                await self._queue.look()
                self._dirty = True  # its status is in the checkpoint
            await self._forget_removed()
            measured = self._measured()
            metrics.LAG.labels(self.stream).set(measured.seconds)
            detail = self._lag.update(measured)
            if detail is not None:
                await publisher.publish_event(self._lag_event(detail))
        except BusError:
            pass  # the server is unreachable: the next check decides

    async def _forget_removed(self) -> None:
        """Stop counting chunks as waiting that the log has discarded unread."""
        newest, before = self._newest, self._seen
        self._seen = newest
        if newest is None or newest is not before or not newest.pending or self._under_way:
            return
        if not await self._has_unread() and self._newest is newest:
            self._newest = replace(newest, pending=0)

    async def _has_unread(self) -> bool:
        """Return whether the log holds a chunk after the newest one that was read."""
        newest = self._newest
        async with self._bus_log.read(
            storage.SIGNALS,
            (subjects.signal(self.stream),),
            start_seq=self._processor.replay_from_seq if newest is None else newest.seq + 1,
            headers_only=True,
        ) as unread:
            return await anext(unread, None) is not None

    def _measured(self) -> StreamLag:
        newest, backlog = self._newest, self._queue.backlog
        behind = newest is not None and (self._under_way or newest.pending > 0)
        waiting = [backlog.since_ns] if backlog.since_ns is not None else []
        if behind and newest is not None:
            waiting.append(newest.stored_ns)
        now = time.time_ns()
        return StreamLag(
            chunks=newest.pending if newest else 0,
            windows=backlog.windows,
            seconds=max((now - min(waiting)) / 1e9, 0.0) if waiting else 0.0,
        )

    def _lag_event(self, detail: str) -> StreamEvent:
        now_ns = time.time_ns()
        return StreamEvent(
            id=f"{self.stream}/{now_ns}/lag",
            stream=self.stream,
            epoch=self._processor.progress().epoch,
            kind="lag",
            detail=clipped(detail),
            t_ns=now_ns,
        )

    async def _let_go(self) -> None:
        try:
            await self._claim.let_go()
        except BusError as error:  # tried again by StreamAssignment
            self._log.warning(Action.CHECKPOINT_DELAYED, stream=self.stream, detail=str(error))
