"""Publish the progress of jobs, and record their end."""

from __future__ import annotations

import time

import anyio

from cwt_compute.jobs import model
from cwt_compute.jobs.store import JobStore
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import NotFound
from cwt_schemas.headers import CONTENT_TYPE

__all__ = ["ProgressPublisher"]


#: Minimum time between two publications of progress, seconds.
PAUSE_S = 0.25
#: Ratio of the pause to the time for computing progress, which grows with the number of tasks.
SHARE_OF_TIME = 50


class ProgressPublisher:
    """Publish the progress of marked jobs, at a rate that limits the cost.

    A job is marked after an outcome is stored. If the worker dies before it has published, the next
    request for the state of the job records its end.
    """

    def __init__(self, bus: Bus, store: JobStore, log: Log) -> None:
        self._bus = bus
        self._store = store
        self._log = log
        self._marked: dict[str, None] = {}
        self._news = anyio.Event()

    def mark(self, job_id: str) -> None:
        """Request publication of the progress of `job_id`."""
        self._marked[job_id] = None
        self._news.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            before = anyio.current_time()
            await self.flush()
            took_s = anyio.current_time() - before
            await anyio.sleep(max(PAUSE_S, SHARE_OF_TIME * took_s))

    async def flush(self) -> None:
        """Publish the progress of all marked jobs immediately."""
        while self._marked:
            job_id = next(iter(self._marked))
            del self._marked[job_id]
            try:
                await self._publish(job_id)
            except (BusError, NotFound) as error:
                # The outcomes are stored, and later requests for the state read them.
                self._log.warning(Action.BUS_ERROR, detail=str(error), job=job_id)

    async def _publish(self, job_id: str) -> None:
        record = await self._store.record(job_id)
        if record is None:
            return
        tally = await self._store.tally(record)
        if model.finalized(record, tally) != record:
            record = await self._store.change(job_id, lambda each: model.finalized(each, tally))
            self._log.info(Action.JOB_ENDED, job=job_id, status=model.status(record, tally).value)
        progress = model.progress(record, tally, time.time_ns())
        await self._bus.publish(
            subjects.progress(job_id),
            encode(progress, ContentType.JSON),
            {CONTENT_TYPE: ContentType.JSON.value},
        )
