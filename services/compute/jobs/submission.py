"""Whether a job can be taken, and what it is called: decided before anything of it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache

from schemas.errors import ContractError, Unprocessable
from schemas.job import Encoding, JobSubmit, SignificanceTask, TaskRequest, WctTask
from schemas.limits import MAX_LISTED_PROBLEMS, MAX_OUTPUT_CELLS, MAX_TASK_COST_S
from schemas.query import BackendInfo
from services.compute.queries import answer_backend, output_cells
from services.compute.queries.cost import check_simulation
from services.compute.queries.sizes import scale_count
from services.runtime.analysis import wavelet_of

__all__ = ["check_tasks", "digest_of", "job_id_of", "tasks_name"]

#: What a task has that may be large.
SIGNALS = frozenset({"data", "signal1"})
#: Room for the other fields of a task.
TASK_OVERHEAD_BYTES = 4096


def check_tasks(tasks: Sequence[TaskRequest], max_message_bytes: int) -> None:
    """Refuse a job of which a task could not be computed anywhere, or not even sent to a worker.

    Raises
    ------
    Unprocessable
        Naming every such task and field.
    """
    problems: dict[str, str] = {}
    # A device is asked for by way of the bridge: once, and not for each of a thousand tasks.
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
    for field in SIGNALS & type(task).model_fields.keys():
        size = getattr(task, field).nbytes * (2 if field == "signal1" else 1)
        if size + TASK_OVERHEAD_BYTES > max_message_bytes:
            problem = f"{size} bytes, the server takes {max_message_bytes} in a message"
            raise Unprocessable.of({field: problem})
    try:
        wavelet_of(task.mother, task.param)
    except ValueError as error:
        raise Unprocessable.of({"param": str(error)}) from None
    if not isinstance(task, SignificanceTask):
        cells = output_cells(task)
        if cells > MAX_OUTPUT_CELLS:
            problem = f"{cells} values in the answer, {MAX_OUTPUT_CELLS} are possible"
            raise Unprocessable.of({"J": problem})
    if isinstance(task, WctTask | SignificanceTask):
        backend_of(task.backend)
        if task.significance_level is not None and task.method == "montecarlo":
            rows = task.J + 1 if isinstance(task, SignificanceTask) else scale_count(task)
            check_simulation(
                rows=rows, dj=task.dj, mc_count=task.mc_count, max_cost_s=MAX_TASK_COST_S
            )


def digest_of(name: str | None, encoding: Encoding, tasks: bytes) -> str:
    """Return what tells jobs apart: a hash of name, encoding, and the tasks in msgpack."""
    return hashlib.sha256(f"{name or ''}\0{encoding}\0".encode() + tasks).hexdigest()[:16]


def job_id_of(request: JobSubmit, digest: str) -> str:
    """Return the id that the client gave, or else the one of the content."""
    return request.job_id or f"job-{digest}"


def tasks_name(job_id: str, digest: str) -> str:
    """Return where the tasks are kept in the object store."""
    return f"tasks.{job_id}.{digest}"
