"""What workers say to each other about jobs: the queue's messages, and the state of a job."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.job import Encoding, JobTitle, Status, TaskId, TaskRequest
from schemas.message import (
    Count,
    Message,
    Name,
    PersistedMessage,
    PositiveCount,
    ShortHash,
    StoredObject,
)


class Expansion(Message):
    """The next tasks of a job are to be put on the queue."""

    kind: Literal["expansion"] = "expansion"
    name: JobTitle | None = None
    #: Of the job's name and tasks: what a job with this id has to be.
    digest: ShortHash
    tasks_count: PositiveCount
    #: A ``JobTasks``, in msgpack.
    tasks: StoredObject
    created_ns: Count
    encoding: Encoding = "msgpack"
    #: Those before this one are on the queue, or have an outcome.
    start: Count = 0


class QueuedTask(Message):
    """A task is to be computed."""

    kind: Literal["task"] = "task"
    task_id: TaskId
    request: TaskRequest
    #: Sequence of the outcome that the new one replaces; 0: there is none.
    replaces: Count = 0
    #: Of the outcome.
    encoding: Encoding = "msgpack"


class JobWork(PersistedMessage):
    """One message of the work queue ``CWT_TASKS``."""

    schema_id: Literal["job.work/1"] = Field(default="job.work/1", alias="schema")
    job_id: Name
    #: Of an older attempt than the job's, it is dropped.
    attempt: PositiveCount
    work: Annotated[Expansion | QueuedTask, Field(discriminator="kind")]


class JobSummary(Message):
    """How a job ended."""

    status: Status
    done: Count
    failed: Count
    finished_ns: Count


class JobRecord(PersistedMessage):
    """What was asked of a job, kept in ``cwt_jobs``. What happened to it is in its outcomes."""

    schema_id: Literal["job.record/1"] = Field(default="job.record/1", alias="schema")
    job_id: Name
    name: JobTitle | None = None
    digest: ShortHash
    tasks_count: PositiveCount
    tasks: StoredObject
    created_ns: Count
    encoding: Encoding = "msgpack"
    #: When the first task of this attempt was begun.
    started_ns: Count | None = None
    attempt: PositiveCount = 1
    #: Failures up to this place in the log of outcomes are those of earlier attempts.
    retried_seq: Count = 0
    #: None until it has ended.
    summary: JobSummary | None = None
