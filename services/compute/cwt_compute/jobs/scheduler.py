"""Enqueue the tasks of jobs in portions, so that jobs take turns.

A submitted job is one small message on the task queue. The worker that receives it enqueues a
portion of the tasks without a result and, in the middle of the portion, another such message for
the remaining tasks. The queue is served in order, so the next portion comes after the tasks that
other jobs have enqueued meanwhile: a job waits for one or two portions of each other job, not for
all their tasks. Half a portion remains for the workers while the next one is prepared.

If a worker dies in between and a message is enqueued twice, the server stores it once because of
its id. If the server has already forgotten the id, both messages run through the job, but tasks
that have outcomes are not computed again.
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
#: Number of tasks of one job that are enqueued concurrently.
ENQUEUED_AT_ONCE = 16
#: Redelivery delay of a message whose record does not exist yet, seconds. A message that arrives
#: while the tasks of another job are being enqueued waits for this time, and is then redelivered
#: with the same delay.
NOT_YET_S = 0.5

#: Work of a portion per message in flight, in estimated seconds of one core. Workers have two
#: messages per core, so a portion takes some seconds on all cores, which is long compared with the
#: time to prepare the next one.
PORTION_S = 2.0
#: Minimum ratio of computing a portion to reading all tasks of the job, which each portion does.
READ_FACTOR = 20.0
READ_BYTES_PER_S = 100e6


class TaskEnqueuer:
    """Enqueue the tasks of one job at a time.

    Parameters
    ----------
    announce
        Called with the id of a job whose state has changed.
    newest
        Return the newest known version of a record.
    max_tries
        Number of deliveries after which a message without its record is dropped.
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
        """Process an expansion message: enqueue a portion, or return or drop the message."""
        with anyio.move_on_after(NOT_YET_S) as waiting:
            await self._enqueuing.acquire()
        if waiting.cancelled_caught:
            # The other job may be waiting for room on the queue, which needs this slot.
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
        """Wait for the record, which may never change if the worker of the request died."""
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
        """Enqueue a message for the tasks from `start` on."""
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
    """Return the tasks of a job, and the costs of those in `todo`, in seconds of one core."""
    tasks = decode(JobTasks, body, PACKED, max_bytes=None)
    return tasks, tuple(cost_s(tasks.tasks[int(task_id)]) for task_id, _ in todo)


def portion_size(costs_s: Sequence[float], *, in_flight: int, job_bytes: int) -> int:
    """Return the number of tasks in the next portion: at least one.

    Parameters
    ----------
    costs_s
        Estimated costs of the next tasks, in seconds of one core.
    in_flight
        Number of messages of all jobs that workers are processing.
    job_bytes
        Stored size of the job's tasks, bytes.
    """
    portion_s = max(PORTION_S * max(in_flight, 1), READ_FACTOR * job_bytes / READ_BYTES_PER_S)
    for count, sum_s in enumerate(accumulate(costs_s), 1):
        if sum_s >= portion_s:
            return count
    return len(costs_s)


def first_half(count: int) -> int:
    """Return the number of tasks of a portion that precede the message for the next one."""
    return (count + 1) // 2
