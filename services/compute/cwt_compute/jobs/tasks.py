"""Tasks of a job: validation, computation and outcomes.

A task is a query that no client waits for, and therefore has higher limits.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import cache

from cwt_compute.queries.cost import (
    check_simulation,
    cost_s,
    output_cells,
    scale_count,
    simulated_pairs,
)
from cwt_compute.queries.simulation import FALLBACK, answer_backend
from cwt_compute.queries.transforms import (
    answer_cwt,
    answer_mwct,
    answer_pwct,
    answer_significance,
    answer_wct,
    answer_xwt,
)
from cwt_runtime.analysis import wavelet_of
from cwt_schemas.codec import ContentType
from cwt_schemas.errors import ContractError, Problem, Unprocessable
from cwt_schemas.job import (
    CwtTask,
    Encoding,
    JobOutcome,
    JobSubmit,
    JobWork,
    MwctTask,
    PwctTask,
    QueuedTask,
    SignificanceTask,
    TaskReply,
    TaskRequest,
    WctTask,
    XwtTask,
)
from cwt_schemas.limits import MAX_LISTED_PROBLEMS, MAX_OUTPUT_CELLS, MAX_TASK_COST_S
from cwt_schemas.live import Engine
from cwt_schemas.message import StoredObject
from cwt_schemas.query import BackendInfo
from pycwt_mod import __version__

__all__ = [
    "answer_task",
    "check_tasks",
    "digest_of",
    "encoding_of",
    "is_spread",
    "job_id_of",
    "needs_the_bus",
    "outcome_of",
    "outcome_without_result",
    "spread",
    "tasks_name",
]

#: The backend that distributes a simulation over all workers.
CLUSTER = "cluster"
#: Minimum cost at which a simulation is distributed, in seconds of one core.
SPREAD_COST_S = 5.0
#: Fields of a task that may be large.
SIGNALS = frozenset({"data", "signal1", "target"})
#: Room for the other fields of a task.
TASK_OVERHEAD_BYTES = 4096


def check_tasks(tasks: Sequence[TaskRequest], max_message_bytes: int) -> None:
    """Check that all tasks of a job can be sent to a worker and computed.

    Raises
    ------
    Unprocessable
        A task cannot be computed; the message names all such tasks and fields.
    """
    problems: dict[str, str] = {}
    # Query the bridge for a device once, not for each of a thousand tasks.
    backend_of = cache(answer_backend)
    for number, task in enumerate(tasks):
        try:
            _check(task, max_message_bytes, backend_of)
        except Unprocessable as error:
            for field in error.fields:
                problems[f"tasks.{number}.{field}"] = error.message.removeprefix(f"{field}: ")
        except ContractError as error:
            problems[f"tasks.{number}.backend"] = error.message
        if len(problems) >= MAX_LISTED_PROBLEMS:
            break
    if problems:
        raise Unprocessable.of(problems)


def _check(
    task: TaskRequest, max_message_bytes: int, backend_of: Callable[[str], BackendInfo]
) -> None:
    others = task.given.nbytes if isinstance(task, PwctTask | MwctTask) else 0
    for field in SIGNALS & type(task).model_fields.keys():
        size = getattr(task, field).nbytes * (2 if field == "signal1" else 1) + others
        if size + TASK_OVERHEAD_BYTES > max_message_bytes:
            problem = f"{size} bytes, the server accepts at most {max_message_bytes} in a message"
            raise Unprocessable.of({field: problem})
    try:
        wavelet_of(task.mother, task.param)
    except ValueError as error:
        raise Unprocessable.of({"param": str(error)}) from None
    if not isinstance(task, SignificanceTask):
        cells = output_cells(task)
        if cells > MAX_OUTPUT_CELLS:
            problem = f"{cells} values in the reply, at most {MAX_OUTPUT_CELLS} are allowed"
            raise Unprocessable.of({"J": problem})
    if isinstance(task, WctTask | PwctTask | MwctTask | SignificanceTask):
        backend_of(task.backend)
        if task.significance_level is not None and task.method == "montecarlo":
            rows = task.J + 1 if isinstance(task, SignificanceTask) else scale_count(task)
            check_simulation(
                rows=rows, dj=task.dj, mc_count=simulated_pairs(task), max_cost_s=MAX_TASK_COST_S
            )


def digest_of(name: str | None, encoding: Encoding, tasks: bytes) -> str:
    """Return the digest that identifies a job: of name, encoding, and tasks in msgpack."""
    return hashlib.sha256(f"{name or ''}\0{encoding}\0".encode() + tasks).hexdigest()[:16]


def job_id_of(request: JobSubmit, digest: str) -> str:
    """Return the job id in the request, or else one derived from the digest."""
    return request.job_id or f"job-{digest}"


def tasks_name(job_id: str, digest: str) -> str:
    """Return the name of the tasks in the object store."""
    return f"tasks.{job_id}.{digest}"


def answer_task(request: TaskRequest) -> TaskReply:
    """Return the reply to the query with the same fields.

    Raises
    ------
    ContractError
        The request is invalid.
    """
    match request:
        case CwtTask():
            return answer_cwt(request)
        case XwtTask():
            return answer_xwt(request)
        case WctTask():
            return answer_wct(request, max_cost_s=MAX_TASK_COST_S)
        case PwctTask():
            return answer_pwct(request, max_cost_s=MAX_TASK_COST_S)
        case MwctTask():
            return answer_mwct(request, max_cost_s=MAX_TASK_COST_S)
        case _:
            return answer_significance(request, max_cost_s=MAX_TASK_COST_S)


def is_spread(request: TaskRequest) -> bool:
    """Return whether the simulation of a task is large enough to be distributed."""
    return (
        isinstance(request, WctTask | PwctTask | MwctTask | SignificanceTask)
        and request.backend in {FALLBACK, CLUSTER}
        and cost_s(request) > SPREAD_COST_S
    )


def needs_the_bus(request: TaskRequest) -> bool:
    """Return whether the backend of a task needs the bus, which only a service has."""
    backend = getattr(request, "backend", FALLBACK)
    return is_spread(request) or backend not in {FALLBACK, "joblib"}


def spread(request: TaskRequest) -> TaskRequest:
    """Return the task, with the cluster backend if its simulation is large enough."""
    return request.model_copy(update={"backend": CLUSTER}) if is_spread(request) else request


def encoding_of(task: QueuedTask) -> ContentType:
    """Return the encoding of the outcome of a task."""
    return ContentType.JSON if task.encoding == "json" else ContentType.MSGPACK


def outcome_of(job_id: str, attempt: int, task: QueuedTask, worker: str) -> JobOutcome:
    """Compute a task; return the outcome, which contains the result.

    Raises
    ------
    ContractError
        The task is invalid.
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
    """Return the engine of an outcome; `backend` is None if nothing was simulated."""
    return Engine(
        library="pycwt_mod", version=__version__, backend=backend or "sequential", worker=worker
    )


def outcome_without_result(
    work: JobWork,
    task: QueuedTask,
    *,
    worker: str,
    started_ns: int,
    error: ContractError | None = None,
    where: StoredObject | None = None,
) -> JobOutcome:
    """Return the outcome of a task that failed, or whose result is in the object store."""
    problem = None
    if error is not None:
        problem = Problem(code=error.code, message=error.message, detail=error.detail)
    return JobOutcome(
        job_id=work.job_id,
        task_id=task.task_id,
        type=task.request.type,
        status="failed" if problem else "done",
        attempt=work.attempt,
        error=problem,
        object=where,
        engine=engine_of(worker),
        started_ns=started_ns,
        finished_ns=time.time_ns(),
    )
