"""Process tasks from the queue: receive, compute in a child process, store, acknowledge.

The processing of a message has one of three outcomes. It is acknowledged, after the outcome is
stored or because the job no longer needs it; or it is returned to the queue with a delay; or it is
terminated, after a failed outcome and a dead letter are stored. If a worker dies, the server
redelivers the task to another worker after the acknowledgement deadline, and that worker checks for
an outcome before it computes. If two workers compute the same task nevertheless, the log accepts
only one outcome.

A task is computed in a process of low priority, or in a thread if its simulation needs the bus.
Afterwards the progress of its job is published, and the end of the job is recorded.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread

from cwt_compute.cluster.backend import own_shares
from cwt_compute.cluster.endpoint import compute_share
from cwt_compute.jobs import model
from cwt_compute.jobs.progress import ProgressPublisher
from cwt_compute.jobs.scheduler import TaskEnqueuer
from cwt_compute.jobs.store import JobStore, headers_of, record_of
from cwt_compute.jobs.tasks import (
    encoding_of,
    needs_the_bus,
    outcome_of,
    outcome_without_result,
    spread,
)
from cwt_compute.processes import ComputeFaultError, ComputeProcess, IpcKind, ProcessPool
from cwt_compute.work_queue import Heartbeat
from cwt_runtime.bus import Bus, Delivery
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.reading import read_body
from cwt_runtime.retry import GiveUp, RetryPolicy, decide
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage
from cwt_schemas.codec import content_type_of, decode, encode
from cwt_schemas.errors import ContractError, Internal, NotFound
from cwt_schemas.job import Expansion, JobRecord, JobWork, QueuedTask

__all__ = ["JobWorker"]

#: Time limit for returning a task to the queue when the worker must stop, seconds.
HAND_BACK_S = 1.0


class JobWorker:
    """Compute tasks concurrently, as many as the pool has processes.

    Parameters
    ----------
    name
        Name of the worker in the provenance of outcomes.
    max_tries
        Number of deliveries after which a message is dead-lettered.
    records
        Cache of the newest known records, updated by the worker, so that a task does not need to
        read the bucket.
    """

    def __init__(
        self,
        bus: Bus,
        store: JobStore,
        pool: ProcessPool,
        *,
        name: str,
        max_tries: int,
        records: dict[str, JobRecord],
        log: Log,
    ) -> None:
        self._bus_log = bus.log
        self._max_message_bytes = bus.max_message_bytes
        self._store = store
        self._pool = pool
        self._name = name
        self._policy = RetryPolicy(max_tries=max_tries)
        self._max_tries = max_tries
        self._log = log
        self._heartbeat = Heartbeat()
        self._records = records
        #: Tasks being computed or stored, to be cancelled with their job.
        self._running: dict[anyio.CancelScope, JobWork] = {}
        self._progress = ProgressPublisher(bus, store, log)
        self._enqueuer = TaskEnqueuer(
            store, self.announce, newest=self._newest, max_tries=max_tries
        )

    def announce(self, job_id: str) -> None:
        """Request publication of the progress of a job."""
        self._progress.mark(job_id)

    async def run(self, stop: Stop) -> None:
        """Process tasks until a stop is requested, then finish those in progress."""
        # One more than can be computed, so that the next task is ready when a process is free.
        slots = anyio.Semaphore(self._pool.size + 1)
        async with (
            self._bus_log.consume(storage.TASKS, storage.COMPUTE_TASKS) as consumer,
            anyio.create_task_group() as background,
        ):
            background.start_soon(self._heartbeat.run)
            background.start_soon(self._progress.run)
            background.start_soon(self._watch)
            async with anyio.create_task_group() as tasks:
                while True:
                    await slots.acquire()
                    delivery = await stop.run_until_stopped(consumer.next)
                    if delivery is None:
                        break
                    tasks.start_soon(self._serve, delivery, slots)
            await self._progress.flush()
            background.cancel_scope.cancel()

    async def _watch(self) -> None:
        """Follow the records, and cancel tasks of attempts that are no longer active."""
        async with self._store.bucket.watch() as changes:
            async for change in changes:
                if change.value is None:
                    self._records.pop(change.key, None)
                    continue
                try:
                    record = record_of(change.value)
                except ContractError:
                    continue  # of a different version, whose workers process it
                self._records[change.key] = record
                for scope, work in tuple(self._running.items()):
                    if work.job_id == change.key and not model.is_active(record, work.attempt):
                        scope.cancel()

    async def _serve(self, delivery: Delivery, slots: anyio.Semaphore) -> None:
        try:
            with self._heartbeat.of(delivery):
                await self.handle(delivery)
        except anyio.get_cancelled_exc_class():
            # The drain time is over: let another worker start the task immediately.
            with anyio.move_on_after(HAND_BACK_S, shield=True), suppress(BusError):
                await delivery.nak()
            raise
        except BusError as error:
            # Nothing was acknowledged: the message is redelivered after the deadline.
            self._log.warning(Action.BUS_ERROR, detail=str(error))
        except Exception as error:  # noqa: BLE001 - no message may crash the worker
            self._log.error(Action.TASK_RETRIED, exc=error, seq=delivery.stored.seq)
            with suppress(BusError):
                await delivery.nak(self._policy.max_delay_s)
        finally:
            slots.release()

    async def handle(self, delivery: Delivery) -> None:
        """Process one delivery to one of its three outcomes."""
        message = delivery.stored.message
        try:
            kind = content_type_of(message.headers)
            work = await read_body(len(message.data), decode, JobWork, message.data, kind)
        except ContractError as error:
            await self._store.dead_letter(delivery, error.message)
            return
        try:
            if isinstance(work.work, Expansion):
                await self._enqueuer.enqueue(delivery, work, work.work)
            else:
                await self._compute(delivery, work, work.work)
        except BusError:
            raise
        except NotFound:
            await delivery.ack()  # the job has expired
        except Exception as error:  # noqa: BLE001 - the message needs an outcome in any case
            await self._tried(delivery, work, error)

    def _newest(self, record: JobRecord) -> JobRecord:
        """Return the newest known version of a record."""
        seen = self._records.get(record.job_id)
        return record if seen is None or seen.attempt < record.attempt else seen

    # Computing a task

    async def _compute(self, delivery: Delivery, work: JobWork, task: QueuedTask) -> None:
        record = await self._known(work)
        if record is None or not model.is_active(record, work.attempt):
            await delivery.ack()
            return
        outcome = await self._store.outcome(work.job_id, task.task_id)
        if outcome is not None and outcome.seq != task.replaces:
            # Computed by a worker that died before it acknowledged the task.
            await self._done(delivery, work)
            return
        if delivery.deliveries > self._max_tries:
            reason = f"delivered {delivery.deliveries} times and never finished"
            await self._give_up(delivery, work, task, reason)
            return
        if record.started_ns is None:
            now = time.time_ns()
            await self._store.change(work.job_id, lambda each: model.started(each, now))
        started = time.time_ns()
        with anyio.CancelScope() as scope:
            self._running[scope] = work
            if not model.is_active(self._newest(record), work.attempt):
                scope.cancel()  # the record has changed; `_watch` sees later changes
            try:
                body = await self._run_task(work, task, delivery.stored.message.data)
                # Inside the scope, because storing waits while there is no room for the outcome.
                await self._store_result(work, task, body, started)
            except ContractError as error:
                await self._failed(delivery, work, task, error, started)
                return
            finally:
                del self._running[scope]
        if scope.cancelled_caught:
            await delivery.ack()
            return
        metrics.TASKS_COMPUTED.labels(task.request.type, "done").inc()
        await self._done(delivery, work)

    async def _run_task(self, work: JobWork, task: QueuedTask, message: bytes) -> bytes:
        """Compute a task; return the encoded outcome. `message` is `work` as it was received.

        Raises
        ------
        ContractError
            The task is invalid.
        ProcessDiedError, ComputeFaultError
            The computation failed; a retry may succeed.
        """
        async with self._pool.process() as process:
            with (
                metrics.WORKERS_BUSY.track_inprogress(),
                metrics.TASK_SECONDS.labels(task.request.type).time(),
            ):
                if needs_the_bus(task.request):
                    return await self._run_task_with_the_bus(process, work, task)
                return await process.ask(IpcKind.TASK, message)

    async def _run_task_with_the_bus(
        self, process: ComputeProcess, work: JobWork, task: QueuedTask
    ) -> bytes:
        """Compute in a thread of this process; shares for this worker use the compute process."""
        spread_task = task.model_copy(update={"request": spread(task.request)})

        def compute() -> bytes:
            done = outcome_of(work.job_id, work.attempt, spread_task, self._name)
            return encode(done, encoding_of(task), max_bytes=None)

        with own_shares(partial(compute_share, process)):
            try:
                return await anyio.to_thread.run_sync(
                    compute, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                )
            except ContractError as error:
                if error.transient:
                    raise ComputeFaultError(error.message) from error
                raise

    async def _known(self, work: JobWork) -> JobRecord | None:
        seen = self._records.get(work.job_id)
        if seen is not None and seen.attempt >= work.attempt:
            return seen
        record = await self._store.record(work.job_id)
        if record is not None:
            # `_watch` may know a newer record than the one read from a replica of the bucket.
            record = self._records[work.job_id] = self._newest(record)
        return record

    async def _store_result(
        self, work: JobWork, task: QueuedTask, body: bytes, started_ns: int
    ) -> None:
        """Store the outcome of a computed task, in the object store if it is large."""
        msg_id = model.outcome_id(work.job_id, task.task_id, work.attempt)
        encoding = encoding_of(task)
        headers = headers_of("done", encoding)
        if len(body) > self._max_message_bytes:
            name = f"result.{work.job_id}.{task.task_id}.{work.attempt}"
            where = await self._store.put_object_with_retry(name, body)
            outcome = outcome_without_result(
                work, task, worker=self._name, started_ns=started_ns, where=where
            )
            body = encode(outcome, encoding)
            headers = headers_of("done", encoding, where=where)
        await self._store.store_outcome(
            work.job_id, task.task_id, body, headers, msg_id=msg_id, replaces=task.replaces
        )

    async def _done(self, delivery: Delivery, work: JobWork) -> None:
        await delivery.ack()
        self.announce(work.job_id)

    # Failures

    async def _tried(self, delivery: Delivery, work: JobWork, error: Exception) -> None:
        """Return the message to the queue, or dead-letter it."""
        task = work.work
        decision = decide(self._policy, tries=delivery.deliveries, transient=True)
        detail = str(error) or type(error).__name__
        if isinstance(decision, GiveUp):
            reason = f"{decision.reason}: {detail}"
            if isinstance(task, Expansion):
                await self._enqueuer.give_up(delivery, work.job_id, reason)
            else:
                await self._give_up(delivery, work, task, reason, error)
            return
        self._log.warning(
            Action.TASK_RETRIED,
            job=work.job_id,
            task=None if isinstance(task, Expansion) else task.task_id,
            tries=delivery.deliveries,
            detail=getattr(error, "trace", "") or detail,
        )
        await delivery.nak(decision.delay_s)

    async def _failed(
        self,
        delivery: Delivery,
        work: JobWork,
        task: QueuedTask,
        error: ContractError,
        started_ns: int,
    ) -> None:
        """Store the outcome of a task that failed because it is invalid."""
        await self._store_failure(work, task, error, started_ns)
        self._log.warning(
            Action.TASK_FAILED, job=work.job_id, task=task.task_id, detail=error.message
        )
        metrics.TASKS_COMPUTED.labels(task.request.type, "failed").inc()
        await self._done(delivery, work)

    async def _give_up(
        self,
        delivery: Delivery,
        work: JobWork,
        task: QueuedTask,
        reason: str,
        error: Exception | None = None,
    ) -> None:
        """Store a failed outcome and a dead letter; the job continues without this task."""
        fault = secrets.token_hex(6)
        self._log.error(
            Action.TASK_DEAD,
            job=work.job_id,
            task=task.task_id,
            fault=fault,
            reason=getattr(error, "trace", "") or reason,
        )
        failure = Internal(
            f"dead-lettered: {reason}; the worker's log has the cause under the id {fault}"
        )
        await self._store_failure(work, task, failure, time.time_ns())
        await self._store.dead_letter(delivery, reason)
        metrics.TASKS_COMPUTED.labels(task.request.type, "dead").inc()
        self.announce(work.job_id)

    async def _store_failure(
        self, work: JobWork, task: QueuedTask, error: ContractError, started_ns: int
    ) -> None:
        outcome = outcome_without_result(
            work, task, worker=self._name, started_ns=started_ns, error=error
        )
        await self._store.store_outcome(
            work.job_id,
            task.task_id,
            encode(outcome, encoding_of(task)),
            headers_of("failed", encoding_of(task), error=error.message),
            msg_id=model.outcome_id(work.job_id, task.task_id, work.attempt),
            replaces=task.replaces,
        )
