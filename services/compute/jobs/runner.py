"""Compute a task: in a process of low priority, or in a thread if its simulation needs the bus."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.to_thread

from schemas.codec import encode
from schemas.errors import ContractError
from schemas.work import JobWork, QueuedTask
from services.compute.cluster.backend import own_shares
from services.compute.cluster.endpoint import compute_share
from services.compute.jobs.tasks import encoding_of, needs_the_bus, outcome_of, spread
from services.compute.processes import ComputeFaultError, ComputeProcess, IpcKind, ProcessPool
from services.runtime.telemetry import metrics

__all__ = ["TaskRunner"]


class TaskRunner:
    """Computes tasks, at most as many concurrently as the pool has processes.

    Parameters
    ----------
    worker
        Goes into the provenance of the outcomes.
    """

    def __init__(self, pool: ProcessPool, worker: str) -> None:
        self._pool = pool
        self._worker = worker

    async def run(self, work: JobWork, task: QueuedTask, message: bytes) -> bytes:
        """Return the outcome of a task in its encoding; `message` is `work` as it travelled.

        Raises
        ------
        ContractError
            The task is at fault.
        ProcessDiedError, ComputeFaultError
            It may succeed another time.
        """
        async with self._pool.process() as process:
            with (
                metrics.WORKERS_BUSY.track_inprogress(),
                metrics.TASK_SECONDS.labels(task.request.type).time(),
            ):
                if needs_the_bus(task.request):
                    return await self._run_with_the_bus(process, work, task)
                return await process.ask(IpcKind.TASK, message)

    async def _run_with_the_bus(
        self, process: ComputeProcess, work: JobWork, task: QueuedTask
    ) -> bytes:
        """Compute in a thread of this process; its own shares go to the compute process."""
        spread_task = task.model_copy(update={"request": spread(task.request)})

        def compute() -> bytes:
            done = outcome_of(work.job_id, work.attempt, spread_task, self._worker)
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
