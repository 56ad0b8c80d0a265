"""Following the signal log: every message to its stream's processor, every output to its subject.

Order of things, which the delivery promise rests on: a chunk's windows and events are kept by the
server before the next chunk of any stream is taken, and a checkpoint is written only between
chunks. A crash in between means that some windows are published again, under the same ids.

Nothing that a message holds stops the follower. What a processor cannot digest is told as an event
and left behind; what the server refuses for good is told as dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import anyio

from schemas import storage, subjects
from schemas.errors import ContractError
from schemas.event import StreamEvent
from schemas.message import clipped
from services.ingest.checkpoints import Checkpoints
from services.ingest.definitions import Definitions
from services.ingest.outlet import Outlet
from services.ingest.processor import LogEntry, Output, StreamProcessor
from services.runtime import metrics
from services.runtime.bus import Log as BusLog
from services.runtime.bus import StoredMessage
from services.runtime.errors import BusError
from services.runtime.logs import Action, Log
from services.runtime.stopping import Stop

__all__ = ["Follower"]

#: Longest time that a restart would have to make up for.
CHECKPOINT_EVERY_S = 1.0
#: Takes the events of chunks whose subject holds no stream's name.
NAMELESS = "nameless"


class Follower:
    """Reads the log from the oldest point that any stream needs, and goes on with what comes."""

    def __init__(
        self,
        bus_log: BusLog,
        definitions: Definitions,
        checkpoints: Checkpoints,
        log: Log,
        *,
        save_every_s: float = CHECKPOINT_EVERY_S,
    ) -> None:
        self._bus_log = bus_log
        self._definitions = definitions
        self._checkpoints = checkpoints
        self._outlet = Outlet(bus_log, log)
        self._log = log
        self._save_every_s = save_every_s
        self._position = self._saved_position = 0
        self._dirty: set[StreamProcessor] = set()

    async def run(self, stop: Stop) -> None:
        """Follow the log until asked to stop, then write the checkpoints."""
        last = await self._bus_log.last_seq(storage.SIGNALS)
        # A log that was restored or lost its end counts anew.
        self._position = min(await self._checkpoints.log_position(), last)
        needed = [processor.replay_from_seq for processor in self._definitions.processors()]
        start = min((*needed, self._position + 1))
        async with (
            anyio.create_task_group() as tasks,
            self._bus_log.replay(storage.SIGNALS, (subjects.SIGNALS,), start_seq=start) as messages,
        ):
            tasks.start_soon(self._save_regularly)
            while (stored := await stop.unless_stopped(lambda: anext(messages))) is not None:
                async with self._definitions.lock:
                    await self._take(stored)
            tasks.cancel_scope.cancel()
        await self.save()

    async def save(self) -> None:
        """Write the checkpoints of the streams that moved on; what fails is tried next time."""
        async with self._definitions.lock:
            try:
                for processor in tuple(self._dirty):
                    if self._definitions.processor(processor.definition.name) is processor:
                        await self._checkpoints.write(processor.checkpoint())
                    self._dirty.discard(processor)
                if self._position != self._saved_position:
                    await self._checkpoints.set_log_position(self._position)
                    self._saved_position = self._position
            except BusError as error:
                self._log.warning(Action.CHECKPOINT_DELAYED, detail=str(error))

    async def _save_regularly(self) -> None:
        while True:
            await anyio.sleep(self._save_every_s)
            await self.save()

    async def _take(self, stored: StoredMessage) -> None:
        stream, processor = self._route(stored.message.subject)
        if processor is not None:
            await self._process(stream, processor, stored)
        elif stored.seq > self._position:
            await self._outlet.publish(stream, [_unknown(stream, stored)])
        self._position = max(self._position, stored.seq)

    async def _process(
        self, stream: str, processor: StreamProcessor, stored: StoredMessage
    ) -> None:
        entry = LogEntry(
            seq=stored.seq,
            stored_ns=stored.stored_ns,
            headers=stored.message.headers,
            body=stored.message.data,
            now_ns=time.time_ns(),
        )
        before = processor.accepted_samples
        try:
            outputs: Iterable[Output] = processor.take(entry)
            await self._outlet.publish(stream, outputs)
        except (BusError, BaseExceptionGroup):
            raise  # the server's doing: the process starts again and takes the chunk again
        except Exception as error:  # noqa: BLE001 - no chunk may stop the streams of others
            self._log.error(Action.CHUNK_FAILED, exc=error, stream=stream, seq=stored.seq)
            await self._outlet.publish(stream, [_indigestible(stream, stored, error)])
        self._dirty.add(processor)
        metrics.CHUNKS.labels(stream).inc()
        metrics.SAMPLES.labels(stream).inc(processor.accepted_samples - before)

    def _route(self, subject: str) -> tuple[str, StreamProcessor | None]:
        try:
            stream = subjects.stream_of_signal(subject)
        except ContractError:
            return NAMELESS, None
        return stream, self._definitions.processor(stream)


def _unknown(stream: str, stored: StoredMessage) -> StreamEvent:
    if stream == NAMELESS:
        detail = "the subject holds no stream's name: cwt.signal.<name>, of A-Z a-z 0-9 _ -"
    else:
        detail = f"no stream is called {stream}; define it with cwt.stream.put, then publish"
    return _rejected(stream, stored, detail)


def _indigestible(stream: str, stored: StoredMessage, error: Exception) -> StreamEvent:
    return _rejected(stream, stored, f"the chunk could not be processed: {type(error).__name__}")


def _rejected(stream: str, stored: StoredMessage, detail: str) -> StreamEvent:
    return StreamEvent(
        id=f"{stream}/{stored.seq}/rejected",
        stream=stream,
        kind="rejected",
        detail=clipped(detail),
        t_ns=stored.stored_ns,
    )
