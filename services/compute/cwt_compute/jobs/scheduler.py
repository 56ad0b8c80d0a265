"""Put the tasks of jobs on the queue, so that jobs take turns.

A submitted job is one small message on the queue of tasks. The worker that takes it enqueues a
portion of the tasks that have no result, and in the middle of the portion another such message, for
the tasks that come after. The queue is served in order, so the next portion goes behind what other
jobs have enqueued by then: another job waits for a portion or two of each, not for all their tasks,
and half a portion is still there for the workers while the next one is cut.

Enqueued twice, by a worker that died in between, a message is stored once: it has an id. Should the
server have forgotten the ids, two such messages follow each other through the job, and find that
its tasks have outcomes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile

import anyio
import anyio.to_thread

from cwt_compute.jobs import model
from cwt_compute.jobs.model import expansion_id, outcome_id, record_for
from cwt_compute.jobs.store import JobStore, ObjectChangedError
from cwt_compute.queries.cost import cost_s
from cwt_runtime.bus import Delivery
from cwt_runtime.storage.publish import publish_all
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.job import Expansion, JobRecord, JobTasks, JobWork, QueuedTask

__all__ = ["TaskEnqueuer", "first_half", "portion_size"]

PACKED = ContentType.MSGPACK
#: Tasks of one job on their way to the queue at the same time.
ENQUEUED_AT_ONCE = 16
#: A message that comes before the record it is about is handed out again after so long; one that
#: comes while tasks of another job are being put on the queue waits so long, and then the same.
NOT_YET_S = 0.5

#: Work of a portion for each message that workers have now, in estimated seconds of one core. They
#: have two for each core, so it is some seconds of all cores: long beside cutting the next one.
PORTION_S = 2.0
#: Each portion reads all tasks of the job; computing it takes at least this many times as long.
READ_FACTOR = 20.0
READ_BYTES_PER_S = 100e6


class TaskEnqueuer:
    """Enqueues the tasks of one job at a time.

    Parameters
    ----------
    announce
        Called with the id of a job whose state has changed.
    newest
        Returns the record of a job as it was seen last.
    max_tries
        Deliveries after which a message without its record is dropped.
    """

    def __init__(
        self,
        store: JobStore,
        announce: Callable[[str], None],
        *,
        newest: Callable[[JobRecord], JobRecord],
        max_tries: int,
    ) -> None:
        self._store = store
        self._announce = announce
        self._newest = newest
        self._max_tries = max_tries
        self._enqueuing = anyio.Lock()

    async def enqueue(self, delivery: Delivery, work: JobWork, expansion: Expansion) -> None:
        """Bring the message to one of its ends."""
        with anyio.move_on_after(NOT_YET_S) as waiting:
            await self._enqueuing.acquire()
        if waiting.cancelled_caught:
            # The other one may wait for room on the queue, which takes this slot to make.
            await delivery.nak(NOT_YET_S)
            return
        try:
            await self._enqueue_next(delivery, work, expansion)
        finally:
            self._enqueuing.release()

    async def _enqueue_next(self, delivery: Delivery, work: JobWork, expansion: Expansion) -> None:
        record = await self._record_of(work, expansion)
        if record.digest != expansion.digest or record.attempt > work.attempt:
            await delivery.ack()
        elif record.attempt < work.attempt:
            await self._not_yet(delivery)
        elif record.summary is not None:
            await delivery.ack()
        else:
            await self._enqueue(delivery, work, expansion, record)

    async def _record_of(self, work: JobWork, expansion: Expansion) -> JobRecord:
        record = await self._store.record(work.job_id)
        return record or await self._store.create(record_for(work.job_id, expansion))

    async def _not_yet(self, delivery: Delivery) -> None:
        """Wait for the record; its change was on the way when whoever asked for it died."""
        if delivery.deliveries > self._max_tries:
            await delivery.ack()
        else:
            await delivery.nak(NOT_YET_S)

    async def _enqueue(
        self, delivery: Delivery, work: JobWork, expansion: Expansion, record: JobRecord
    ) -> None:
        try:
            body = await self._store.get_object(record.tasks)
            reason = f"the tasks of job {record.job_id} are no longer stored"
        except ObjectChangedError as error:
            body, reason = None, str(error)
        if body is None:
            await self.give_up(delivery, record.job_id, reason)
            return
        todo = model.unfinished(record, await self._store.tally(record), start=expansion.start)
        tasks, costs_s = await anyio.to_thread.run_sync(_read, body, todo)
        count = portion_size(costs_s, in_flight=await self._store.in_flight(), job_bytes=len(body))
        half = first_half(count)
        await self._enqueue_all(record, tasks, todo[:half])
        if count < len(todo):
            await self._continue(work, expansion, int(todo[count][0]))
        await self._enqueue_all(record, tasks, todo[half:count])
        await delivery.ack()
        self._announce(record.job_id)

    async def _continue(self, work: JobWork, expansion: Expansion, start: int) -> None:
        """Enqueue a message that makes a worker enqueue the tasks from `start` on."""
        rest = work.model_copy(update={"work": expansion.model_copy(update={"start": start})})
        msg_id = f"{expansion_id(work.job_id, work.attempt)}/{start}"
        await self._store.enqueue(rest, msg_id=msg_id)

    async def give_up(self, delivery: Delivery, job_id: str, reason: str) -> None:
        """End a job whose tasks cannot be enqueued; finished tasks keep their results."""
        tally = await self._store.tally(await self._store.existing(job_id))
        now_ns = time.time_ns()
        await self._store.change(job_id, lambda each: model.tasks_lost(each, tally, now_ns))
        await self._store.dead_letter(delivery, reason)
        self._announce(job_id)

    async def _enqueue_all(
        self, record: JobRecord, tasks: JobTasks, todo: Sequence[tuple[str, int]]
    ) -> None:
        async def enqueue(each: tuple[str, int]) -> None:
            task_id, replaces = each
            task = QueuedTask(
                task_id=task_id,
                request=tasks.tasks[int(task_id)],
                replaces=replaces,
                encoding=record.encoding,
            )
            work = JobWork(job_id=record.job_id, attempt=record.attempt, work=task)
            msg_id = outcome_id(record.job_id, task_id, record.attempt)
            await self._store.enqueue(work, msg_id=msg_id)

        def still_active(_: object) -> bool:
            return model.is_active(self._newest(record), record.attempt)

        await publish_all(takewhile(still_active, todo), enqueue, limit=ENQUEUED_AT_ONCE)


def _read(body: bytes, todo: Sequence[tuple[str, int]]) -> tuple[JobTasks, tuple[float, ...]]:
    """Return the tasks of a job, and what those that are to be done cost."""
    tasks = decode(JobTasks, body, PACKED, max_bytes=None)
    return tasks, tuple(cost_s(tasks.tasks[int(task_id)]) for task_id, _ in todo)


def portion_size(costs_s: Sequence[float], *, in_flight: int, job_bytes: int) -> int:
    """Return how many of the next tasks, whose costs are given, make a portion: at least one.

    Parameters
    ----------
    costs_s
        Estimated seconds of one core, in the order of the tasks.
    in_flight
        Messages that workers have, of all jobs.
    job_bytes
        Size of the job's tasks as they are kept.
    """
    wanted_s = max(PORTION_S * max(in_flight, 1), READ_FACTOR * job_bytes / READ_BYTES_PER_S)
    for count, sum_s in enumerate(accumulate(costs_s), 1):
        if sum_s >= wanted_s:
            return count
    return len(costs_s)


def first_half(count: int) -> int:
    """Return how many tasks of a portion come before the message for the next one."""
    return (count + 1) // 2
