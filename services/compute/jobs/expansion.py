"""Putting the tasks of a job on the queue.

A job is handed over as one small message; whoever takes it puts a message for each task that has no
result on the queue. Done twice, by a worker that died in between, it adds nothing: the messages
have ids.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread

from schemas.codec import ContentType, decode
from schemas.job import JobTasks
from schemas.work import Expansion, JobRecord, JobWork, QueuedTask
from services.compute.jobs import outcomes, states
from services.compute.jobs.burial import bury
from services.compute.jobs.desk import record_for
from services.compute.jobs.progress import Announcer
from services.compute.jobs.store import JobStore
from services.runtime.bus import Delivery
from services.runtime.errors import BusError

__all__ = ["Expander"]

PACKED = ContentType.MSGPACK
#: Tasks of one job on their way to the queue at the same time.
ENQUEUED_AT_ONCE = 16
#: Until a message is handed out again that came before the record it is about, or while the tasks
#: of another job are being put on the queue.
NOT_YET_S = 0.5


class Expander:
    """Expands one job at a time.

    Parameters
    ----------
    newest
        Returns the record of a job as it was seen last.
    max_tries
        Deliveries after which a message without its record is dropped.
    """

    def __init__(
        self,
        store: JobStore,
        announcer: Announcer,
        *,
        newest: Callable[[JobRecord], JobRecord],
        max_tries: int,
    ) -> None:
        self._store = store
        self._announcer = announcer
        self._newest = newest
        self._max_tries = max_tries
        self._expanding = anyio.Lock()

    async def expand(self, delivery: Delivery, work: JobWork, expansion: Expansion) -> None:
        """Bring the message to one of its ends."""
        if self._expanding.locked():
            # It may wait for room on the queue, which takes the other slots to make.
            await delivery.nak(NOT_YET_S)
            return
        async with self._expanding:
            record = await self._record_of(work, expansion)
            if record.digest != expansion.digest or record.attempt > work.attempt:
                await delivery.ack()
            elif record.attempt < work.attempt:
                await self._not_yet(delivery)
            elif record.summary is not None:
                await delivery.ack()
            else:
                await self._enqueue(delivery, record)

    async def _record_of(self, work: JobWork, expansion: Expansion) -> JobRecord:
        record = await self._store.record(work.job_id)
        return record or await self._store.create(record_for(work.job_id, expansion))

    async def _not_yet(self, delivery: Delivery) -> None:
        """Wait for the record; its change was on the way when whoever asked for it died."""
        if delivery.deliveries > self._max_tries:
            await delivery.ack()
        else:
            await delivery.nak(NOT_YET_S)

    async def _enqueue(self, delivery: Delivery, record: JobRecord) -> None:
        body = await self._store.get_object(record.tasks)
        if body is None:
            reason = f"the tasks of job {record.job_id} are no longer kept"
            await bury(self._store, delivery, reason)
            return
        tasks = await anyio.to_thread.run_sync(
            partial(decode, JobTasks, body, PACKED, max_bytes=None)
        )
        await self._enqueue_all(record, tasks)
        await delivery.ack()
        self._announcer.mark(record.job_id)

    async def _enqueue_all(self, record: JobRecord, tasks: JobTasks) -> None:
        tally = await self._store.tally(record)
        slots = anyio.Semaphore(ENQUEUED_AT_ONCE)
        failures: list[BusError] = []

        async def enqueue(task_id: str, replaces: int) -> None:
            task = QueuedTask(
                task_id=task_id,
                request=tasks.tasks[int(task_id)],
                replaces=replaces,
                encoding=record.encoding,
            )
            work = JobWork(job_id=record.job_id, attempt=record.attempt, work=task)
            msg_id = outcomes.outcome_id(record.job_id, task_id, record.attempt)
            try:
                await self._store.enqueue(work, msg_id=msg_id)
            except BusError as error:
                failures.append(error)
            finally:
                slots.release()

        async with anyio.create_task_group() as group:
            for task_id, replaces in states.left(record, tally):
                await slots.acquire()
                if failures or not states.wanted(self._newest(record), record.attempt):
                    break
                group.start_soon(enqueue, task_id, replaces)
        if failures:
            raise failures[0]
