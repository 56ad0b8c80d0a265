"""State of a job and its transitions, as pure functions.

The state of a job follows from its record, which contains the request, and from the outcomes of its
tasks. Nothing else is stored, so counts cannot be inconsistent: each task has at most one outcome,
even if several workers compute it.

============  ======================================  ==========================================
status        condition                               effect of cancel; effect of retry
============  ======================================  ==========================================
queued        no task of this attempt has started     cancelled; conflict
running       a task of this attempt has started      cancelled; conflict
completed     every task is done                      conflict; conflict
failed        every task has an outcome, some failed, conflict; queued, next attempt
              or the tasks are no longer stored
cancelled     cancelled before the last outcome       unchanged; queued, next attempt
============  ======================================  ==========================================

A task message contains its attempt. Workers discard messages of earlier attempts, so a cancelled
job can be retried while its old messages are still queued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from cwt_schemas import subjects
from cwt_schemas.errors import Conflict
from cwt_schemas.job import (
    Expansion,
    JobProgress,
    JobRecord,
    JobState,
    JobStatus,
    JobSummary,
    TaskState,
)
from cwt_schemas.message import StoredObject

__all__ = [
    "Outcome",
    "Tally",
    "cancelled",
    "expansion_id",
    "finalized",
    "is_active",
    "outcome_id",
    "progress",
    "record_for",
    "retried",
    "started",
    "state",
    "status",
    "tasks_lost",
    "unfinished",
]

#: Status of a task without an outcome.
Idle = Literal["cancelled", "queued"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a task, from the headers of its message."""

    status: Literal["done", "failed"]
    #: Sequence in the log of outcomes, and time of storage there.
    seq: int
    stored_ns: int
    object: StoredObject | None = None
    error: str | None = None


@dataclass(frozen=True)
class Tally:
    """The outcomes of a job so far, by the id of the task."""

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @cached_property
    def done(self) -> int:
        """Number of tasks with a result."""
        return sum(each.status == "done" for each in self.outcomes.values())

    @property
    def failed(self) -> int:
        """Number of failed tasks."""
        return len(self.outcomes) - self.done


def expansion_id(job_id: str, attempt: int) -> str:
    """Return the id of the message that makes a worker enqueue the tasks of an attempt."""
    return f"{job_id}/{attempt}/tasks"


def outcome_id(job_id: str, task_id: str, attempt: int) -> str:
    """Return the message id of an outcome, which is unique per attempt."""
    return f"{job_id}/{task_id}/{attempt}"


def record_for(job_id: str, expansion: Expansion) -> JobRecord:
    """Return the record of a new job."""
    return JobRecord(
        job_id=job_id,
        name=expansion.name,
        digest=expansion.digest,
        tasks_count=expansion.tasks_count,
        tasks=expansion.tasks,
        created_ns=expansion.created_ns,
        encoding=expansion.encoding,
        submitted_by=expansion.submitted_by,
        results_bytes=expansion.results_bytes,
    )


def status(record: JobRecord, tally: Tally) -> JobStatus:
    """Return the status of the job."""
    if record.summary is not None:
        return record.summary.status
    if len(tally.outcomes) == record.tasks_count and not _left_over(record, tally):
        return JobStatus.FAILED if tally.failed else JobStatus.COMPLETED
    return JobStatus.QUEUED if record.started_ns is None else JobStatus.RUNNING


def is_active(record: JobRecord | None, attempt: int) -> bool:
    """Return whether tasks of this attempt may still be computed."""
    return record is not None and record.summary is None and record.attempt == attempt


def unfinished(record: JobRecord, tally: Tally, *, start: int = 0) -> tuple[tuple[str, int], ...]:
    """Return the tasks from `start` on without a result, each with the sequence that it replaces.

    That is the sequence of an earlier failure, or 0.
    """
    numbers = range(start, record.tasks_count)
    tasks = ((str(number), tally.outcomes.get(str(number))) for number in numbers)
    return tuple(
        (task_id, outcome.seq if outcome else 0)
        for task_id, outcome in tasks
        if outcome is None or outcome.status == "failed"
    )


def started(record: JobRecord, now_ns: int) -> JobRecord:
    """Return the record after the first task has started."""
    if record.started_ns is not None or record.summary is not None:
        return record
    return record.model_copy(update={"started_ns": now_ns})


def finalized(record: JobRecord, tally: Tally) -> JobRecord:
    """Return the record with the summary of the job, if it has ended."""
    final = status(record, tally)
    if record.summary is not None or not final.ended:
        return record
    last_ns = max(outcome.stored_ns for outcome in tally.outcomes.values())
    return _ended(record, final, tally, last_ns)


def cancelled(record: JobRecord, tally: Tally, now_ns: int) -> JobRecord:
    """Return the record after the job was cancelled.

    Raises
    ------
    Conflict
        The job has completed or failed.
    """
    current = status(record, tally)
    if current is JobStatus.CANCELLED:
        return record
    if current.ended:
        raise Conflict(f"job {record.job_id} is already {current}", {"status": current.value})
    return _ended(record, JobStatus.CANCELLED, tally, now_ns)


def tasks_lost(record: JobRecord, tally: Tally, now_ns: int) -> JobRecord:
    """Return the record of a job that failed because its tasks are no longer stored."""
    return record if record.summary else _ended(record, JobStatus.FAILED, tally, now_ns)


def retried(record: JobRecord, tally: Tally) -> JobRecord:
    """Return the record after a retry of the failed and cancelled tasks.

    Raises
    ------
    Conflict
        The job has not ended, or every task has its result.
    """
    current = status(record, tally)
    detail = {"status": current.value}
    if not current.ended:
        raise Conflict(
            f"job {record.job_id} is {current}: cancel it, or wait until it ends", detail
        )
    if not unfinished(record, tally):
        raise Conflict(f"job {record.job_id} is {current}: every task has its result", detail)
    again = {"attempt": record.attempt + 1, "summary": None, "started_ns": None}
    return record.model_copy(update={**again, "retried_seq": _newest(tally)})


def state(record: JobRecord, tally: Tally, *, results: bool) -> JobState:
    """Return the state of the job for clients, with its tasks if `results`."""
    done, failed = _counts(record, tally)
    return JobState(
        job_id=record.job_id,
        name=record.name,
        status=status(record, tally),
        progress=100 * (done + failed) / record.tasks_count,
        tasks_count=record.tasks_count,
        done=done,
        failed=failed,
        results=_tasks(record, tally) if results else (),
        created_ns=record.created_ns,
        started_ns=record.started_ns,
        finished_ns=record.summary.finished_ns if record.summary else None,
        attempt=record.attempt,
        submitted_by=record.submitted_by,
    )


def progress(record: JobRecord, tally: Tally, now_ns: int) -> JobProgress:
    """Return the progress message of the job."""
    current = state(record, tally, results=False)
    return JobProgress(
        job_id=current.job_id,
        status=current.status,
        progress=current.progress,
        tasks_count=current.tasks_count,
        done=current.done,
        failed=current.failed,
        t_ns=now_ns,
    )


def _ended(record: JobRecord, how: JobStatus, tally: Tally, now_ns: int) -> JobRecord:
    summary = JobSummary(status=how, done=tally.done, failed=tally.failed, finished_ns=now_ns)
    return record.model_copy(update={"summary": summary})


def _left_over(record: JobRecord, tally: Tally) -> bool:
    """Return whether failures of an earlier attempt have not been replaced yet."""
    return any(
        outcome.status == "failed" and outcome.seq <= record.retried_seq
        for outcome in tally.outcomes.values()
    )


def _newest(tally: Tally) -> int:
    return max((outcome.seq for outcome in tally.outcomes.values()), default=0)


def _counts(record: JobRecord, tally: Tally) -> tuple[int, int]:
    """Return the number of done and failed tasks; failures being retried are neither."""
    if record.summary is not None:
        # Counted outcomes remain counted after they expire from the log.
        done = max(record.summary.done, tally.done)
        return done, min(max(record.summary.failed, tally.failed), record.tasks_count - done)
    failed = sum(
        outcome.status == "failed" and outcome.seq > record.retried_seq
        for outcome in tally.outcomes.values()
    )
    return tally.done, failed


def _tasks(record: JobRecord, tally: Tally) -> tuple[TaskState, ...]:
    idle: Idle = "cancelled" if status(record, tally) is JobStatus.CANCELLED else "queued"
    return tuple(
        _task(record, str(number), tally.outcomes.get(str(number)), idle)
        for number in range(record.tasks_count)
    )


def _task(
    record: JobRecord,
    task_id: str,
    outcome: Outcome | None,
    idle: Idle,
) -> TaskState:
    if outcome is None:
        return TaskState(task_id=task_id, status=idle)
    waits = outcome.status == "failed" and outcome.seq <= record.retried_seq
    return TaskState(
        task_id=task_id,
        status=idle if waits else outcome.status,
        subject=subjects.job_result(record.job_id, task_id),
        stream_seq=outcome.seq,
        object=outcome.object,
        error=outcome.error,
    )
