"""Many analyses handed over at once: what clients send and receive, and what workers exchange.

First the requests, replies and outcomes, then the messages of the work queue and the stored record
of a job.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, Strict, model_validator

from cwt_schemas.errors import Problem
from cwt_schemas.limits import MAX_LISTED_JOBS, MAX_TASKS_PER_JOB
from cwt_schemas.live import Engine
from cwt_schemas.message import (
    Count,
    Items,
    Message,
    Name,
    PersistedMessage,
    PositiveCount,
    ShortHash,
    StoredObject,
    wrong_field,
)
from cwt_schemas.query import (
    CwtReply,
    CwtRequest,
    SignificanceReply,
    SignificanceRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)

#: The place of a task in its job, from ``0``; one token of a subject.
TaskId = Annotated[str, Field(pattern=r"^[0-9]{1,4}$")]
#: How outcomes are written: JSON is larger and slower, and read by anything.
Encoding = Literal["msgpack", "json"]
#: What a person calls a job.
JobTitle = Annotated[str, Field(max_length=256)]
#: From 0 to 100: tasks that came to an end, of all.
Percent = Annotated[float, Field(ge=0, le=100)]


class JobStatus(StrEnum):
    """How a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    #: All tasks came to an end, not all of them to a good one.
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen unless somebody asks for it."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


#: From a string too: the other fields stay strict.
Status = Annotated[JobStatus, Strict(False)]
TaskStatus = Literal["queued", "done", "failed", "cancelled"]


class CwtTask(CwtRequest):
    """A transform of one signal, as a task of a job."""

    type: Literal["cwt"]


class XwtTask(XwtRequest):
    """A cross-wavelet transform, as a task of a job."""

    type: Literal["xwt"]


class WctTask(WctRequest):
    """A coherence, as a task of a job."""

    type: Literal["wct"]


class SignificanceTask(SignificanceRequest):
    """A level of significance, as a task of a job."""

    type: Literal["significance"]


TaskRequest: TypeAlias = Annotated[
    CwtTask | XwtTask | WctTask | SignificanceTask, Field(discriminator="type")
]
TaskReply: TypeAlias = CwtReply | XwtReply | WctReply | SignificanceReply
Tasks = Annotated[Items[TaskRequest], Field(max_length=MAX_TASKS_PER_JOB)]


class JobTasks(PersistedMessage):
    """The tasks of a job, as they are kept in the object store."""

    schema_id: Literal["job.tasks/1"] = Field(default="job.tasks/1", alias="schema")
    tasks: Annotated[Tasks, Field(min_length=1)]


class JobSubmit(Message):
    """Hands over a job. The same one again, with the same id or without any, changes nothing."""

    #: None: made from the content.
    job_id: Name | None = None
    name: JobTitle | None = None
    tasks: Tasks = ()
    #: In place of ``tasks`` where they are too large for a message: a ``JobTasks`` in msgpack that
    #: the client has put into the bucket ``cwt_objects``.
    tasks_object: StoredObject | None = None
    encoding: Encoding = "msgpack"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.tasks) == (self.tasks_object is not None):
            raise wrong_field("tasks", "at least one, or tasks_object in place of them")
        return self


class JobSubmitted(Message):
    """The job is kept, and will be worked on whatever happens to whoever asked."""

    job_id: Name
    #: ``queued``, or how it stands if it was submitted before.
    status: Status
    tasks_count: PositiveCount


class JobGet(Message):
    """Asks how a job stands."""

    job_id: Name
    #: Whether to list the tasks.
    results: bool = True


class JobCancel(Message):
    """Stops a job: what runs ends soon, and the rest never starts."""

    job_id: Name


class JobRetry(Message):
    """Has all tasks that failed, or were cancelled, computed again."""

    job_id: Name


class JobList(Message):
    """Asks for the jobs there are, the newest first."""

    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED_JOBS)] = 100


class TaskState(Message):
    """One task of a job, and where its result is."""

    task_id: TaskId
    status: TaskStatus
    #: Where the outcome is kept, in ``CWT_JOB_RESULTS``.
    subject: Annotated[str, Field(max_length=256)] | None = None
    stream_seq: PositiveCount | None = None
    #: Where the outcome itself is, if it is too large for a message.
    object: StoredObject | None = None
    error: Annotated[str, Field(max_length=512)] | None = None


class JobState(Message):
    """How a job stands."""

    job_id: Name
    name: JobTitle | None = None
    status: Status
    progress: Percent
    tasks_count: PositiveCount
    done: Count
    failed: Count
    #: Every task, in order; empty where they were not asked for.
    results: Items[TaskState] = ()
    created_ns: Count
    #: When the first task was begun.
    started_ns: Count | None = None
    finished_ns: Count | None = None
    #: 1, and one more with every retry.
    attempt: PositiveCount = 1


class JobListing(Message):
    """Jobs, the newest first, without their tasks."""

    jobs: Items[JobState]


class JobProgress(PersistedMessage):
    """How far a job has come; announced, not kept."""

    schema_id: Literal["job.progress/1"] = Field(default="job.progress/1", alias="schema")
    job_id: Name
    status: Status
    progress: Percent
    tasks_count: PositiveCount
    done: Count
    failed: Count
    t_ns: Count


class JobOutcome(PersistedMessage):
    """What became of one task, kept in ``CWT_JOB_RESULTS``.

    One of three is there: the result, the object that has this message with the result in it, or
    the error.
    """

    schema_id: Literal["job.outcome/1"] = Field(default="job.outcome/1", alias="schema")
    job_id: Name
    task_id: TaskId
    type: Literal["cwt", "xwt", "wct", "significance"]
    status: Literal["done", "failed"]
    attempt: PositiveCount
    result: TaskReply | None = None
    object: StoredObject | None = None
    error: Problem | None = None
    engine: Engine
    started_ns: Count
    finished_ns: Count

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = [part for part in (self.result, self.object, self.error) if part is not None]
        if len(given) != 1 or (self.error is None) != (self.status == "done"):
            raise wrong_field("status", "done has a result or an object, failed has an error")
        return self


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
