"""Publish the windows and events of a stream, with a limit on its share of the window queue.

Each stream may have a limited number of windows on the queue. If it produces windows faster than
workers process them, its chunks wait in the signal log, and the other streams are not delayed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import anyio

from cwt_ingest.backlog import WindowBacklog
from cwt_ingest.estimate_publisher import EstimatePublisher
from cwt_ingest.estimates import Fit
from cwt_ingest.processor import Output, Stored
from cwt_runtime.bus import DurableLog
from cwt_runtime.bus.errors import BusError, NotStoredError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.storage.publish import publish_with_retry
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_runtime.telemetry.tracing import trace_headers
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import AnalysisWindow, StreamEvent
from cwt_schemas.message import clipped
from cwt_schemas.provisional import NewestSamples

__all__ = ["InterruptedPublishError", "StreamPublisher", "WindowQueue"]

#: Number of outputs in flight; a window has up to 8 MiB.
IN_FLIGHT = 16
#: Pause between two checks for room on the queue.
LOOK_S = 0.05


class InterruptedPublishError(Exception):
    """A stop was requested while windows waited for room; the rest must be produced again."""


class WindowQueue:
    """The windows of one stream that wait for workers."""

    def __init__(self, bus_log: DurableLog, stream: str, backlog: WindowBacklog) -> None:
        self._bus_log = bus_log
        self._pattern = subjects.windows_of(stream)
        self.backlog = backlog
        #: Windows in flight, which the server may or may not count yet.
        self.storing = 0

    async def look(self) -> None:
        """Ask the server for the number of queued windows."""
        counts = await self._bus_log.subject_counts(storage.WINDOWS, self._pattern)
        self.backlog.observed(sum(counts.values()) + self.storing)

    async def room(self) -> bool:
        """Wait until the queue has room for one more window, then return True."""
        while self.backlog.is_full:
            try:
                await self.look()
            except BusError as error:  # the server is unreachable: the next check decides
                if not error.transient:
                    raise
            if self.backlog.is_full:
                await anyio.sleep(LOOK_S)
        return True


class StreamPublisher:
    """Publish the outputs of one stream's processor.

    Parameters
    ----------
    bus_log
        Log to publish to.
    queue
        The stream's share of the window queue.
    stop
        Ends the wait for room on the queue.
    admits
        Return whether to publish an event about a refused window now, or to report it later.
    estimates
        Takes the outputs for provisional estimates, which are not stored.
    """

    def __init__(
        self,
        bus_log: DurableLog,
        queue: WindowQueue,
        stop: Stop,
        log: Log,
        *,
        admits: Callable[[StreamEvent], bool],
        estimates: EstimatePublisher,
    ) -> None:
        self._bus_log = bus_log
        self._queue = queue
        self._stop = stop
        self._log = log
        self._admits = admits
        self._estimates = estimates

    async def publish(self, outputs: Iterable[Output]) -> None:
        """Publish `outputs` in order; return when each is stored or reported as dropped.

        `outputs` is consumed only as fast as the server stores them and workers take them.

        Raises
        ------
        InterruptedPublishError
            A stop was requested first.
        """
        slots = anyio.Semaphore(IN_FLIGHT)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            try:
                for output in outputs:
                    if isinstance(output, NewestSamples | Fit):
                        await self._estimates.take(output)
                        continue
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

    async def _publish(self, output: Stored, slots: anyio.Semaphore) -> None:
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
            # Retrying would fail again, and ingest would never get past this chunk.
            event = _dropped(window, str(error))
            if self._admits(event):
                await self.publish_event(event)
        finally:
            self._queue.storing -= 1

    async def _store(self, subject: str, output: Stored) -> None:
        await publish_with_retry(
            self._bus_log,
            subject,
            encode(output, ContentType.MSGPACK),
            msg_id=output.id,
            headers={CONTENT_TYPE: ContentType.MSGPACK.value, **trace_headers()},
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
            f"octave {window.octave} of {window.analysis.name}: the server refused its window, so "
            f"there will be no result: {reason}"
        ),
        t_ns=window.times_ns.received,
    )
