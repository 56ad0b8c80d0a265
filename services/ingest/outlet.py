"""What comes out of ingest: windows and events onto their subjects, kept before more is made."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from schemas import subjects
from schemas.codec import ContentType, encode
from schemas.errors import ContractError
from schemas.event import StreamEvent
from schemas.headers import CONTENT_TYPE
from schemas.message import clipped
from schemas.window import AnalysisWindow
from services.ingest.processor import Output
from services.runtime import metrics
from services.runtime.bus import Log as BusLog
from services.runtime.errors import NotStoredError
from services.runtime.logs import Action, Log
from services.runtime.storing import store_until_kept

__all__ = ["Outlet"]

#: Outputs encoded and not yet acknowledged; a window has up to 8 MiB.
IN_FLIGHT = 16


class Outlet:
    """Publishes what processors make."""

    def __init__(self, bus_log: BusLog, log: Log) -> None:
        self._bus_log = bus_log
        self._log = log

    async def publish(self, stream: str, outputs: Iterable[Output]) -> None:
        """Publish `outputs` in order; return when every one is kept or told as dropped.

        `outputs` is read only as fast as the server keeps them.
        """
        slots = anyio.Semaphore(IN_FLIGHT)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            try:
                for output in outputs:
                    await slots.acquire()
                    tasks.start_soon(self._publish, stream, output, slots)
            except Exception as error:  # noqa: BLE001 - raised below, outside of the group
                failure = error
        if failure is not None:
            raise failure

    async def _publish(self, stream: str, output: Output, slots: anyio.Semaphore) -> None:
        try:
            if isinstance(output, AnalysisWindow):
                metrics.WINDOWS_EMITTED.labels(stream).inc()
                await self._store_window(output)
            else:
                self._tell(output)
                await self._store(subjects.event(stream), output)
        finally:
            slots.release()

    async def _store_window(self, window: AnalysisWindow) -> None:
        try:
            await self._store(subjects.window(window.stream, window.analysis.name), window)
        except (NotStoredError, ContractError) as error:
            # Storing it again would fail again, and ingest would never get past this chunk.
            event = _dropped(window, str(error))
            self._tell(event)
            await self._store(subjects.event(window.stream), event)

    def _tell(self, event: StreamEvent) -> None:
        metrics.EVENTS.labels(event.stream, event.kind).inc()
        self._log.info(
            Action.STREAM_EVENT, stream=event.stream, kind=event.kind, detail=event.detail
        )

    async def _store(self, subject: str, output: Output) -> None:
        await store_until_kept(
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
