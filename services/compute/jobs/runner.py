"""Compute a task: in a process of low priority, or in a thread if its simulation needs the bus."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.to_thread

from schemas.codec import encode
from schemas.errors import ContractError
from schemas.work import JobWork, QueuedTask
from services.compute.calculator import Calculator, CalculatorPool
from services.compute.calculator.answers import refusal_of
from services.compute.calculator.frames import Kind
from services.compute.cluster.backend import own_shares
from services.compute.cluster.endpoint import compute_share
from services.compute.jobs.tasks import encoding_of, needs_the_bus, outcome_of, spread
from services.runtime.telemetry import metrics

__all__ = ["TaskFaultError", "TaskRunner"]


class TaskFaultError(Exception):
    """A task met a fault of the program; the message is for people, `trace` for the log."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class TaskRunner:
    """Computes tasks, at most as many concurrently as the pool has calculators.

    Parameters
    ----------
    worker
        Goes into the provenance of the outcomes.
    """

    def __init__(self, pool: CalculatorPool, worker: str) -> None:
        self._pool = pool
        self._worker = worker

    async def run(self, work: JobWork, task: QueuedTask, message: bytes) -> bytes:
        """Return the outcome of a task in its encoding; `message` is `work` as it travelled.

        Raises
        ------
        ContractError
            The task is at fault.
        CalculatorDiedError, TaskFaultError
            It may succeed another time.
        """
        async with self._pool.calculator() as calculator:
            with (
                metrics.WORKERS_BUSY.track_inprogress(),
                metrics.TASK_SECONDS.labels(task.request.type).time(),
            ):
                if needs_the_bus(task.request):
                    return await self._run_with_the_bus(calculator, work, task)
                answer = await calculator.ask(Kind.TASK, message)
        if answer.kind is Kind.REFUSED:
            raise refusal_of(answer)
        if answer.kind is not Kind.DONE:
            raise TaskFaultError("it met a fault", answer.body.decode(errors="replace"))
        return answer.body

    async def _run_with_the_bus(
        self, calculator: Calculator, work: JobWork, task: QueuedTask
    ) -> bytes:
        """Compute in a thread of this process; its own shares go to the calculator all the same."""
        spread_task = task.model_copy(update={"request": spread(task.request)})

        def compute() -> bytes:
            done = outcome_of(work.job_id, work.attempt, spread_task, self._worker)
            return encode(done, encoding_of(task), max_bytes=None)

        with own_shares(partial(compute_share, calculator)):
            try:
                return await anyio.to_thread.run_sync(
                    compute, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                )
            except ContractError as error:
                if error.transient:
                    raise TaskFaultError(error.message) from error
                raise
