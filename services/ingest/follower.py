"""Following the signal log: every message to its stream's processor, every output to its subject.

Order of things, which the delivery promise rests on: a chunk's windows and events are kept by the
server before the next chunk of any stream is taken, and a checkpoint is written only after that. A
crash in between means that some windows are published again, under the same ids.
"""

from __future__ import annotations

import time

import anyio

from schemas import storage, subjects
from schemas.codec import ContentType, encode
from schemas.errors import ContractError
from schemas.event import StreamEvent
from schemas.headers import CONTENT_TYPE
from schemas.limits import MAX_TEXT
from schemas.window import AnalysisWindow
from services.ingest.checkpoints import Checkpoints
from services.ingest.definitions import Definitions
from services.ingest.processor import LogEntry, Output, StreamProcessor
from services.runtime import metrics
from services.runtime.bus import Log as BusLog
from services.runtime.bus import StoredMessage
from services.runtime.errors import NotStoredError
from services.runtime.logs import Action, Log
from services.runtime.stopping import Stop
from services.runtime.storing import store_until_kept

__all__ = ["Follower"]

#: Longest time that a restart would have to make up for.
CHECKPOINT_EVERY_S = 1.0
#: Takes the events of chunks whose subject holds no stream's name.
NAMELESS = "nameless"


class Follower:
    """Reads the log from the oldest point that any stream needs, and goes on with what comes."""

    def __init__(
        self, bus_log: BusLog, definitions: Definitions, checkpoints: Checkpoints, log: Log
    ) -> None:
        self._bus_log = bus_log
        self._definitions = definitions
        self._checkpoints = checkpoints
        self._log = log
        self._position = 0
        self._dirty: set[StreamProcessor] = set()
        self._saved_at = time.monotonic()

    async def run(self, stop: Stop) -> None:
        """Follow the log until asked to stop, then write the checkpoints."""
        self._position = await self._checkpoints.log_position()
        needed = [processor.replay_from_seq for processor in self._definitions.processors()]
        start = min((*needed, self._position + 1))
        async with self._bus_log.replay(
            storage.SIGNALS, (subjects.SIGNALS,), start_seq=start
        ) as messages:
            while (stored := await stop.unless_stopped(lambda: anext(messages))) is not None:
                await self._take(stored)
                if time.monotonic() - self._saved_at >= CHECKPOINT_EVERY_S:
                    await self.save()
        await self.save()

    async def save(self) -> None:
        """Write the checkpoints of the streams that moved on."""
        dirty, self._dirty = self._dirty, set()
        for processor in dirty:
            if self._definitions.processor(processor.definition.name) is processor:
                await self._checkpoints.write(processor.checkpoint())
        await self._checkpoints.set_log_position(self._position)
        self._saved_at = time.monotonic()

    async def _take(self, stored: StoredMessage) -> None:
        entry = LogEntry(
            seq=stored.seq,
            stored_ns=stored.stored_ns,
            headers=stored.message.headers,
            body=stored.message.data,
            now_ns=time.time_ns(),
        )
        stream, processor = self._route(stored.message.subject)
        if processor is not None:
            await self._publish(stream, list(processor.take(entry)))
            self._dirty.add(processor)
            metrics.CHUNKS.labels(stream).inc()
        elif stored.seq > self._position:
            await self._publish(stream, [_unknown(stream, stored)])
        self._position = max(self._position, stored.seq)

    def _route(self, subject: str) -> tuple[str, StreamProcessor | None]:
        try:
            stream = subjects.stream_of_signal(subject)
        except ContractError:
            return NAMELESS, None
        return stream, self._definitions.processor(stream)

    async def _publish(self, stream: str, outputs: list[Output]) -> None:
        async with anyio.create_task_group() as tasks:
            for output in outputs:
                if isinstance(output, AnalysisWindow):
                    subject = subjects.window(stream, output.analysis.name)
                    metrics.WINDOWS_EMITTED.labels(stream).inc()
                else:
                    subject = subjects.event(stream)
                    self._tell(output)
                tasks.start_soon(self._store, subject, output)

    def _tell(self, event: StreamEvent) -> None:
        metrics.EVENTS.labels(event.stream, event.kind).inc()
        self._log.info(
            Action.STREAM_EVENT, stream=event.stream, kind=event.kind, detail=event.detail
        )

    async def _store(self, subject: str, output: Output) -> None:
        try:
            await store_until_kept(
                self._bus_log,
                subject,
                encode(output, ContentType.MSGPACK),
                msg_id=output.id,
                headers={CONTENT_TYPE: ContentType.MSGPACK.value},
                log=self._log,
            )
        except (NotStoredError, ContractError) as error:
            # Storing it again would fail again, and ingest would never get past this chunk.
            if isinstance(output, AnalysisWindow):
                event = _not_stored(output, str(error))
                self._tell(event)
                await self._store(subjects.event(output.stream), event)
            else:
                self._log.error(Action.FAILED, exc=error, id=output.id)


def _not_stored(window: AnalysisWindow, reason: str) -> StreamEvent:
    return StreamEvent(
        id=f"{window.id}/dropped",
        stream=window.stream,
        epoch=window.epoch,
        kind="dropped",
        first_sample=window.tile.first_sample,
        n_samples=window.tile.n,
        detail=f"octave {window.octave} of {window.analysis.name}: its window was refused by the "
        f"server, so the result will not come: {reason}"[:MAX_TEXT],
        t_ns=window.times_ns.received,
    )


def _unknown(stream: str, stored: StoredMessage) -> StreamEvent:
    if stream == NAMELESS:
        detail = "the subject holds no stream's name: cwt.signal.<name>, of A-Z a-z 0-9 _ -"
    else:
        detail = f"no stream is called {stream}; define it with cwt.stream.put, then publish"
    return StreamEvent(
        id=f"{stream}/{stored.seq}/rejected",
        stream=stream,
        kind="rejected",
        detail=detail,
        t_ns=stored.stored_ns,
    )
