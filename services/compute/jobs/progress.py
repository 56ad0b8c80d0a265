"""Publish the progress of jobs, and record that a job has ended."""

from __future__ import annotations

import time

import anyio

from schemas import subjects
from schemas.codec import ContentType, encode
from schemas.errors import NotFound
from schemas.headers import CONTENT_TYPE
from services.compute.jobs import model
from services.compute.jobs.store import JobStore
from services.runtime.bus import Bus
from services.runtime.bus.errors import BusError
from services.runtime.telemetry.logs import Action, Log

__all__ = ["ProgressPublisher"]

#: Shortest time between two publications of one worker.
PAUSE_S = 0.25
#: Looking takes at most one part in so many of the time: it grows with the number of tasks.
SHARE_OF_TIME = 50


class ProgressPublisher:
    """Looks at jobs that were marked, one after the other, as often as that is cheap.

    Whoever kept an outcome marks its job. If that worker dies before it looked, the next one that
    asks for the job's state finds it ended and notes that.
    """

    def __init__(self, bus: Bus, store: JobStore, log: Log) -> None:
        self._bus = bus
        self._store = store
        self._log = log
        self._marked: dict[str, None] = {}
        self._news = anyio.Event()

    def mark(self, job_id: str) -> None:
        """Have the progress of `job_id` published soon."""
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
        """Publish the progress of all marked jobs, now."""
        while self._marked:
            job_id = next(iter(self._marked))
            del self._marked[job_id]
            try:
                await self._publish(job_id)
            except (BusError, NotFound) as error:
                # The truth is in the outcomes; whoever asks for it later finds it there.
                self._log.warning(Action.BUS_ERROR, detail=str(error), job=job_id)

    async def _publish(self, job_id: str) -> None:
        record = await self._store.record(job_id)
        if record is None:
            return
        tally = await self._store.tally(record)
        if model.finalized(record, tally) != record:
            record = await self._store.change(job_id, lambda each: model.finalized(each, tally))
            self._log.info(Action.JOB_ENDED, job=job_id, status=model.status(record, tally).value)
        told = model.progress(record, tally, time.time_ns())
        await self._bus.publish(
            subjects.progress(job_id),
            encode(told, ContentType.JSON),
            {CONTENT_TYPE: ContentType.JSON.value},
        )
