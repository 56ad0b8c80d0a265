"""How a job stands and what may be done to it: pure functions.

Two things decide: the record, which says what was *asked*, and the outcomes, which say what
*happened*. Nothing else is kept, so they cannot disagree about how many tasks are done: each task
has at most one outcome, whoever computed it and however often.

============  ======================================  ==========================================
status        when                                    cancel, retry
============  ======================================  ==========================================
queued        no task of this attempt was begun       cancelled; conflict
running       one was                                 cancelled; conflict
completed     every task is done                      conflict; conflict
failed        every task has an outcome, some failed, conflict; queued, the next attempt
              or the tasks are no longer kept
cancelled     asked for before the last outcome       unchanged; queued, the next attempt
============  ======================================  ==========================================

A task message carries its attempt. That of an older attempt is dropped wherever it turns up, so a
cancelled job may be taken up again while its old messages still wait.
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

#: What is said of a task that has no outcome.
Idle = Literal["cancelled", "queued"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a task, as the headers of its outcome tell."""

    status: Literal["done", "failed"]
    #: Place in the log of outcomes, and when it was stored there.
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
        """How many tasks have a result."""
        return sum(each.status == "done" for each in self.outcomes.values())

    @property
    def failed(self) -> int:
        """How many tasks have failed."""
        return len(self.outcomes) - self.done


def expansion_id(job_id: str, attempt: int) -> str:
    """Return the message id of what puts the tasks of an attempt on the queue."""
    return f"{job_id}/{attempt}/tasks"


def outcome_id(job_id: str, task_id: str, attempt: int) -> str:
    """Return the message id of an outcome: one for each try that a client asked for."""
    return f"{job_id}/{task_id}/{attempt}"


def record_for(job_id: str, expansion: Expansion) -> JobRecord:
    """Return the record of a job that was just submitted."""
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
    """Return how the job stands."""
    if record.summary is not None:
        return record.summary.status
    if len(tally.outcomes) == record.tasks_count and not _left_over(record, tally):
        return JobStatus.FAILED if tally.failed else JobStatus.COMPLETED
    return JobStatus.QUEUED if record.started_ns is None else JobStatus.RUNNING


def is_active(record: JobRecord | None, attempt: int) -> bool:
    """Return whether tasks of this attempt are still to be computed."""
    return record is not None and record.summary is None and record.attempt == attempt


def unfinished(record: JobRecord, tally: Tally, *, start: int = 0) -> tuple[tuple[str, int], ...]:
    """Return the tasks from `start` on without a result, and what each replaces.

    That is the sequence of a failure, or 0.
    """
    numbers = range(start, record.tasks_count)
    found = ((str(number), tally.outcomes.get(str(number))) for number in numbers)
    return tuple(
        (task_id, outcome.seq if outcome else 0)
        for task_id, outcome in found
        if outcome is None or outcome.status == "failed"
    )


def started(record: JobRecord, now_ns: int) -> JobRecord:
    """Return the record after the first task was begun."""
    if record.started_ns is not None or record.summary is not None:
        return record
    return record.model_copy(update={"started_ns": now_ns})


def finalized(record: JobRecord, tally: Tally) -> JobRecord:
    """Return the record with how the job ended, if it has."""
    found = status(record, tally)
    if record.summary is not None or not found.ended:
        return record
    last_ns = max(outcome.stored_ns for outcome in tally.outcomes.values())
    return _ended(record, found, tally, last_ns)


def cancelled(record: JobRecord, tally: Tally, now_ns: int) -> JobRecord:
    """Return the record after the job was cancelled.

    Raises
    ------
    Conflict
        It has ended already, by itself.
    """
    found = status(record, tally)
    if found is JobStatus.CANCELLED:
        return record
    if found.ended:
        raise Conflict(f"job {record.job_id} is already {found}", {"status": found.value})
    return _ended(record, JobStatus.CANCELLED, tally, now_ns)


def tasks_lost(record: JobRecord, tally: Tally, now_ns: int) -> JobRecord:
    """Return the record after it was found that the tasks are gone: none can be begun any more."""
    return record if record.summary else _ended(record, JobStatus.FAILED, tally, now_ns)


def retried(record: JobRecord, tally: Tally) -> JobRecord:
    """Return the record after what failed, or was cancelled, is to be computed again.

    Raises
    ------
    Conflict
        It has not ended, or nothing of it is left to do.
    """
    found = status(record, tally)
    detail = {"status": found.value}
    if not found.ended:
        raise Conflict(f"job {record.job_id} is {found}: cancel it, or wait until it ends", detail)
    if not unfinished(record, tally):
        raise Conflict(f"job {record.job_id} is {found}: every task has its result", detail)
    again = {"attempt": record.attempt + 1, "summary": None, "started_ns": None}
    return record.model_copy(update={**again, "retried_seq": _newest(tally)})


def state(record: JobRecord, tally: Tally, *, results: bool) -> JobState:
    """Return what a client is told of the job, with its tasks if wanted."""
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
    """Return what is announced of the job."""
    told = state(record, tally, results=False)
    return JobProgress(
        job_id=told.job_id,
        status=told.status,
        progress=told.progress,
        tasks_count=told.tasks_count,
        done=told.done,
        failed=told.failed,
        t_ns=now_ns,
    )


def _ended(record: JobRecord, how: JobStatus, tally: Tally, now_ns: int) -> JobRecord:
    summary = JobSummary(status=how, done=tally.done, failed=tally.failed, finished_ns=now_ns)
    return record.model_copy(update={"summary": summary})


def _left_over(record: JobRecord, tally: Tally) -> bool:
    """Tell whether failures of an earlier attempt wait for their replacement."""
    return any(
        outcome.status == "failed" and outcome.seq <= record.retried_seq
        for outcome in tally.outcomes.values()
    )


def _newest(tally: Tally) -> int:
    return max((outcome.seq for outcome in tally.outcomes.values()), default=0)


def _counts(record: JobRecord, tally: Tally) -> tuple[int, int]:
    """Return done and failed tasks; failures that are being tried again are neither."""
    if record.summary is not None:
        # What was counted stays counted when the log of outcomes forgets it by age.
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
