"""Publish the windows and events of a stream, with a limit on its share of the window queue.

Every stream may have so many windows waiting and no more. What a stream makes beyond what its
workers do waits in the signal log, as chunks, and the windows of the other streams pass it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import anyio

from cwt_ingest.backlog import WindowBacklog
from cwt_ingest.processor import Output
from cwt_runtime.bus import DurableLog
from cwt_runtime.bus.errors import BusError, NotStoredError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.storage.publish import publish_with_retry
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import AnalysisWindow, StreamEvent
from cwt_schemas.message import clipped

__all__ = ["InterruptedPublishError", "StreamPublisher", "WindowQueue"]

#: Outputs encoded and not yet acknowledged; a window has up to 8 MiB.
IN_FLIGHT = 16
#: Pause between two looks whether workers have made room.
LOOK_S = 0.05


class InterruptedPublishError(Exception):
    """Stopping was asked for while windows waited for room; what is left has to be made again."""


class WindowQueue:
    """The windows of one stream that wait for workers."""

    def __init__(self, bus_log: DurableLog, stream: str, backlog: WindowBacklog) -> None:
        self._bus_log = bus_log
        self._pattern = subjects.windows_of(stream)
        self.backlog = backlog
        #: Windows on their way: the server may count them already, or not yet.
        self.storing = 0

    async def look(self) -> None:
        """Ask the server how many there are."""
        counts = await self._bus_log.subject_counts(storage.WINDOWS, self._pattern)
        self.backlog.observed(sum(counts.values()) + self.storing)

    async def room(self) -> bool:
        """Return True as soon as the stream may put one more window there."""
        while self.backlog.is_full:
            try:
                await self.look()
            except BusError as error:  # the server is away: the next look tells
                if not error.transient:
                    raise
            if self.backlog.is_full:
                await anyio.sleep(LOOK_S)
        return True


class StreamPublisher:
    """Publishes what one stream's processor makes.

    Parameters
    ----------
    bus_log
        Where to.
    queue
        The stream's share of the window queue.
    stop
        Ends waiting for room on the queue.
    admits
        Returns whether an event about a refused window is published now, or reported later.
    """

    def __init__(
        self,
        bus_log: DurableLog,
        queue: WindowQueue,
        stop: Stop,
        log: Log,
        *,
        admits: Callable[[StreamEvent], bool],
    ) -> None:
        self._bus_log = bus_log
        self._queue = queue
        self._stop = stop
        self._log = log
        self._admits = admits

    async def publish(self, outputs: Iterable[Output]) -> None:
        """Publish `outputs` in order; return when every one is kept or told as dropped.

        `outputs` is read only as fast as the server keeps them and workers take them.

        Raises
        ------
        InterruptedPublishError
            Stopping was asked for first.
        """
        slots = anyio.Semaphore(IN_FLIGHT)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            try:
                for output in outputs:
                    await slots.acquire()
                    if isinstance(output, AnalysisWindow):
                        await self._take_room(output)
                    tasks.start_soon(self._publish, output, slots)
            except Exception as error:  # noqa: BLE001 - raised below, outside of the group
                failure = error
        if failure is not None:
            raise failure

    async def publish_event(self, event: StreamEvent) -> None:
        """Publish an event."""
        metrics.EVENTS.labels(event.stream, event.kind).inc()
        self._log.info(
            Action.STREAM_EVENT, stream=event.stream, kind=event.kind, detail=event.detail
        )
        await self._store(subjects.event(event.stream), event)

    async def _take_room(self, window: AnalysisWindow) -> None:
        backlog = self._queue.backlog
        if backlog.is_full and not await self._stop.run_until_stopped(self._queue.room):
            raise InterruptedPublishError
        backlog.published(window.samples.nbytes, time.time_ns())
        self._queue.storing += 1

    async def _publish(self, output: Output, slots: anyio.Semaphore) -> None:
        try:
            if isinstance(output, AnalysisWindow):
                metrics.WINDOWS_EMITTED.labels(output.stream).inc()
                await self._store_window(output)
            else:
                await self.publish_event(output)
        finally:
            slots.release()

    async def _store_window(self, window: AnalysisWindow) -> None:
        try:
            await self._store(subjects.window(window.stream, window.analysis.name), window)
        except (NotStoredError, ContractError) as error:
            # Storing it again would fail again, and ingest would never get past this chunk.
            event = _dropped(window, str(error))
            if self._admits(event):
                await self.publish_event(event)
        finally:
            self._queue.storing -= 1

    async def _store(self, subject: str, output: Output) -> None:
        await publish_with_retry(
            self._bus_log,
            subject,
            encode(output, ContentType.MSGPACK),
            msg_id=output.id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value},
            log=self._log,
        )


def _dropped(window: AnalysisWindow, reason: str) -> StreamEvent:
    return StreamEvent(
        id=f"{window.id}/dropped",
        stream=window.stream,
        epoch=window.epoch,
        kind="dropped",
        first_sample=window.tile.first_sample,
        n_samples=window.tile.n,
        detail=clipped(
            f"octave {window.octave} of {window.analysis.name}: its window was refused by the "
            f"server, so the result will not come: {reason}"
        ),
        t_ns=window.times_ns.received,
    )
