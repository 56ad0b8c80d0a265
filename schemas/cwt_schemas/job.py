"""Jobs: sets of analyses that are stored and computed by all workers.

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
    UserName,
    wrong_field,
)
from cwt_schemas.query import (
    CwtReply,
    CwtRequest,
    MwctReply,
    MwctRequest,
    PwctReply,
    PwctRequest,
    SignificanceReply,
    SignificanceRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)

#: Index of a task in its job, from ``0``; one token of a subject.
TaskId = Annotated[str, Field(pattern=r"^[0-9]{1,4}$")]
#: Encoding of the outcomes. JSON is larger and slower than msgpack, but any program reads it.
Encoding = Literal["msgpack", "json"]
#: Title of a job, for users.
JobTitle = Annotated[str, Field(max_length=256)]
#: Percentage of the tasks that have ended, 0 to 100.
Percent = Annotated[float, Field(ge=0, le=100)]


class JobStatus(StrEnum):
    """Status of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    #: All tasks have ended, at least one of them with an error.
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the job has ended; only a retry changes it."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


#: Also accepted as a string, although messages are strict.
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


class PwctTask(PwctRequest):
    """A partial coherence, as a task of a job."""

    type: Literal["pwct"]


class MwctTask(MwctRequest):
    """A multiple coherence, as a task of a job."""

    type: Literal["mwct"]


class SignificanceTask(SignificanceRequest):
    """A significance threshold, as a task of a job."""

    type: Literal["significance"]


TaskRequest: TypeAlias = Annotated[
    CwtTask | XwtTask | WctTask | PwctTask | MwctTask | SignificanceTask,
    Field(discriminator="type"),
]
TaskReply: TypeAlias = CwtReply | XwtReply | WctReply | PwctReply | MwctReply | SignificanceReply
Tasks = Annotated[Items[TaskRequest], Field(max_length=MAX_TASKS_PER_JOB)]


class JobTasks(PersistedMessage):
    """The tasks of a job, as stored in the object store."""

    schema_id: Literal["job.tasks/1"] = Field(default="job.tasks/1", alias="schema")
    tasks: Annotated[Tasks, Field(min_length=1)]


class JobSubmit(Message):
    """Submit a job. Submitting the same job again, with the same id or none, changes nothing."""

    #: None: derived from the content.
    job_id: Name | None = None
    name: JobTitle | None = None
    tasks: Tasks = ()
    #: Instead of ``tasks`` that are too large for a message: a ``JobTasks`` in msgpack that the
    #: client has put into the bucket ``cwt_objects``.
    tasks_object: StoredObject | None = None
    encoding: Encoding = "msgpack"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.tasks) == (self.tasks_object is not None):
            raise wrong_field("tasks", "give either at least one task or tasks_object")
        return self


class JobSubmitted(Message):
    """Reply to ``submit``: the job is stored and no longer depends on the client."""

    job_id: Name
    #: ``queued``, or the current status if the job was submitted before.
    status: Status
    tasks_count: PositiveCount


class JobGet(Message):
    """Request the status of a job."""

    job_id: Name
    #: Whether the reply lists the tasks.
    results: bool = True


class JobCancel(Message):
    """Cancel a job: running tasks end soon, and others never start."""

    job_id: Name


class JobRetry(Message):
    """Recompute all tasks of a job that failed or were cancelled."""

    job_id: Name


class JobList(Message):
    """Request the list of jobs, newest first."""

    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED_JOBS)] = 100


class TaskState(Message):
    """Status of one task of a job, and the location of its result."""

    task_id: TaskId
    status: TaskStatus
    #: Subject and sequence number of the outcome in ``CWT_JOB_RESULTS``.
    subject: Annotated[str, Field(max_length=256)] | None = None
    stream_seq: PositiveCount | None = None
    #: Location of the outcome if it is too large for a message.
    object: StoredObject | None = None
    error: Annotated[str, Field(max_length=512)] | None = None


class JobState(Message):
    """Status of a job."""

    job_id: Name
    name: JobTitle | None = None
    status: Status
    progress: Percent
    tasks_count: PositiveCount
    done: Count
    failed: Count
    #: Every task, in order; empty if not requested.
    results: Items[TaskState] = ()
    created_ns: Count
    #: When the first task was started.
    started_ns: Count | None = None
    finished_ns: Count | None = None
    #: 1, plus the number of retries.
    attempt: PositiveCount = 1
    #: The owner of the job; None: unknown.
    submitted_by: UserName = None


class JobListing(Message):
    """Jobs, newest first, without their tasks."""

    jobs: Items[JobState]


class JobProgress(PersistedMessage):
    """Progress of a job; published, not stored."""

    schema_id: Literal["job.progress/1"] = Field(default="job.progress/1", alias="schema")
    job_id: Name
    status: Status
    progress: Percent
    tasks_count: PositiveCount
    done: Count
    failed: Count
    t_ns: Count


class JobOutcome(PersistedMessage):
    """Outcome of one task, stored in ``CWT_JOB_RESULTS``.

    It has exactly one of three fields: the result, the object that contains this message with the
    result, or the error.
    """

    schema_id: Literal["job.outcome/1"] = Field(default="job.outcome/1", alias="schema")
    job_id: Name
    task_id: TaskId
    type: Literal["cwt", "xwt", "wct", "pwct", "mwct", "significance"]
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
            raise wrong_field(
                "status", "done requires a result or an object, failed requires an error"
            )
        return self


#: Estimated size of the results of all tasks of a job, for the quota of its user; 0 if the user is
#: unknown. Omitted then, because version 0.1.0 does not know it.
ResultsBytes = Annotated[Count, Field(exclude_if=lambda size: size == 0)]


class Expansion(Message):
    """Work item: put the next tasks of a job on the queue."""

    kind: Literal["expansion"] = "expansion"
    name: JobTitle | None = None
    #: Hash of the name and tasks of the job with this id.
    digest: ShortHash
    tasks_count: PositiveCount
    #: A ``JobTasks``, in msgpack.
    tasks: StoredObject
    created_ns: Count
    encoding: Encoding = "msgpack"
    submitted_by: UserName = None
    results_bytes: ResultsBytes = 0
    #: First task that may not be on the queue yet; those before it are, or have an outcome.
    start: Count = 0


class QueuedTask(Message):
    """Work item: compute a task."""

    kind: Literal["task"] = "task"
    task_id: TaskId
    request: TaskRequest
    #: Sequence number of the outcome that the new one replaces; 0: none.
    replaces: Count = 0
    #: Encoding of the outcome.
    encoding: Encoding = "msgpack"


class JobWork(PersistedMessage):
    """A message of the work queue ``CWT_TASKS``."""

    schema_id: Literal["job.work/1"] = Field(default="job.work/1", alias="schema")
    job_id: Name
    #: Attempt of the job; work items of older attempts are dropped.
    attempt: PositiveCount
    work: Annotated[Expansion | QueuedTask, Field(discriminator="kind")]


class JobSummary(Message):
    """Final state of a job."""

    status: Status
    done: Count
    failed: Count
    finished_ns: Count


class JobRecord(PersistedMessage):
    """The request of a job, stored in ``cwt_jobs``. Its outcomes determine its status."""

    schema_id: Literal["job.record/1"] = Field(default="job.record/1", alias="schema")
    job_id: Name
    name: JobTitle | None = None
    digest: ShortHash
    tasks_count: PositiveCount
    tasks: StoredObject
    created_ns: Count
    encoding: Encoding = "msgpack"
    submitted_by: UserName = None
    results_bytes: ResultsBytes = 0
    #: When the first task of this attempt was started.
    started_ns: Count | None = None
    attempt: PositiveCount = 1
    #: Failures up to this sequence number in the log of outcomes belong to earlier attempts.
    retried_seq: Count = 0
    #: None until the job has ended.
    summary: JobSummary | None = None
