"""What a calculator does: from a frame to a frame, as a pure function that takes anything."""

from __future__ import annotations

import time
import traceback

import numpy as np

from pycwt_mod import __version__
from schemas.codec import ContentType, decode, encode
from schemas.errors import ContractError, ErrorBody, Internal
from schemas.job import JobOutcome, WctTask
from schemas.result import Engine
from schemas.simulation import SimulateRequest
from schemas.work import JobWork, QueuedTask
from services.compute.calculator.frames import Frame, Kind
from services.compute.cluster.shares import answer_simulate
from services.compute.jobs.tasks import answer_task

__all__ = ["answer_frame", "warm_up"]


def warm_up() -> None:
    """Compute a small coherence, so that forks of this process import nothing any more.

    The library loads parts of SciPy on first use, which takes a second of processor time.
    """
    x, y = np.random.default_rng(0).standard_normal((2, 32))
    answer_task(WctTask(type="wct", dt=1.0, signal1=x, signal2=y, mc_count=1, seed=0))


def answer_frame(frame: Frame, worker: str) -> Frame:
    """Return the answer to a request of a service whose instance is called `worker`."""
    try:
        if frame.kind is Kind.TASK:
            return Frame(Kind.DONE, _outcome(decode(JobWork, frame.body, _PACKED), worker))
        share = decode(SimulateRequest, frame.body, _PACKED)
        return Frame(Kind.DONE, encode(answer_simulate(share), _PACKED))
    except ContractError as error:
        return Frame(Kind.REFUSED, encode(error.body(), _PACKED))
    except Exception:  # noqa: BLE001 - the service decides what becomes of it
        return Frame(Kind.FAULT, traceback.format_exc().encode())


_PACKED = ContentType.MSGPACK


def _outcome(work: JobWork, worker: str) -> bytes:
    task = work.work
    if not isinstance(task, QueuedTask):
        raise Internal("an expansion is not for a calculator")
    outcome = outcome_of(work.job_id, work.attempt, task, worker)
    return encode(outcome, encoding_of(task), max_bytes=None)


def encoding_of(task: QueuedTask) -> ContentType:
    """Return how the outcome of a task is written."""
    return ContentType.JSON if task.encoding == "json" else ContentType.MSGPACK


def outcome_of(job_id: str, attempt: int, task: QueuedTask, worker: str) -> JobOutcome:
    """Compute a task; return the outcome with the result in it.

    Raises
    ------
    ContractError
        The task is at fault.
    """
    started = time.time_ns()
    result = answer_task(task.request)
    return JobOutcome(
        job_id=job_id,
        task_id=task.task_id,
        type=task.request.type,
        status="done",
        attempt=attempt,
        result=result,
        engine=engine_of(worker, getattr(result, "backend_used", None)),
        started_ns=started,
        finished_ns=time.time_ns(),
    )


def engine_of(worker: str, backend: str | None = None) -> Engine:
    """Return who computed; without a backend, nothing was simulated."""
    return Engine(
        library="pycwt_mod", version=__version__, backend=backend or "sequential", worker=worker
    )


def refusal_of(frame: Frame) -> ContractError:
    """Return the error in a frame of kind `REFUSED`."""
    return decode(ErrorBody, frame.body, _PACKED).exception()
