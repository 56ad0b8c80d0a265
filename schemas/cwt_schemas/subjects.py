"""All subjects of the project; no other module contains one.

Builders check their arguments, so every built subject can be parsed. An invalid name raises
``Unprocessable``; an invalid subject raises ``BadRequest``.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, get_args

from cwt_schemas.errors import BadRequest, Unprocessable
from cwt_schemas.message import NAME_PATTERN, is_name

StreamVerb = Literal["put", "get", "list", "delete", "purge", "health"]
QueryOp = Literal[
    "cwt",
    "xwt",
    "wct",
    "pwct",
    "mwct",
    "significance",
    "backends",
    "backend",
    "hardware",
    "benchmark",
    "simulate",
    "fit",
    "schema",
    "health",
]
JobVerb = Literal["submit", "get", "list", "cancel", "retry"]
AuditedKind = Literal["stream", "job", "key"]
HwVerb = Literal["info", "selftest", "fft", "cwt", "mc", "cancel"]

#: Wildcards that services and JetStream streams subscribe to. Those for messages from devices
#: accept any form, so that ingest can report an invalid subject.
SIGNALS: Final = "cwt.signal.>"
#: What the signal log accepts if it accepts no stream: no stream has this form.
NO_SIGNALS: Final = "cwt.signal.-.-"
STREAMS: Final = "cwt.stream.>"
WINDOWS: Final = "cwt.window.*.*"
RESULTS: Final = "cwt.result.*.*"
NEWEST: Final = "cwt.newest.*.*"
NOW: Final = "cwt.now.*.*"
EVENTS: Final = "cwt.event.*"
MARKERS: Final = "cwt.marker.*"
MARKS: Final = "cwt.mark.*"
QUERIES: Final = "cwt.query.>"
JOBS: Final = "cwt.job.>"
TASKS: Final = "cwt.task.>"
JOB_RESULTS: Final = "cwt.jobresult.>"
PROGRESS: Final = "cwt.progress.>"
DEAD: Final = "cwt.dead.>"
AUDIT: Final = "cwt.audit.*.*"
HW: Final = "cwt.hw.>"

#: Events of devices; ``hw`` is not a valid name of a stream.
HW_EVENTS: Final = "cwt.event.hw"

#: Template of the prefix of a device's subjects.
HW_DEVICE: Final = "cwt.hw.{device}"

#: Lists the devices and ports of the bridge; ``list`` is not a valid name of a device.
HW_LIST: Final = "cwt.hw.list"


class Lane(NamedTuple):
    """The stream and analysis of windows and results."""

    stream: str
    analysis: str


class JobTask(NamedTuple):
    """One task of one job."""

    job: str
    task: str


def signal(stream: str) -> str:
    """Return the subject on which a device publishes the chunks of a stream."""
    return f"cwt.signal.{_checked(stream, 'stream')}"


def stream(verb: StreamVerb) -> str:
    """Return the subject of a request to ingest about streams."""
    return f"cwt.stream.{_one_of(verb, get_args(StreamVerb), 'verb')}"


def window(stream: str, analysis: str) -> str:
    """Return the subject of the windows of an analysis."""
    return f"cwt.window.{_checked(stream, 'stream')}.{_checked(analysis, 'analysis')}"


def windows_of(stream: str) -> str:
    """Return the wildcard for all windows of a stream."""
    return f"cwt.window.{_checked(stream, 'stream')}.*"


def result(stream: str, analysis: str) -> str:
    """Return the subject of the results of an analysis."""
    return f"cwt.result.{_checked(stream, 'stream')}.{_checked(analysis, 'analysis')}"


def results_of(stream: str) -> str:
    """Return the wildcard for all results of a stream."""
    return f"cwt.result.{_checked(stream, 'stream')}.*"


def newest(stream: str, analysis: str) -> str:
    """Return the subject of the newest samples, of which an analysis has estimates."""
    return f"cwt.newest.{_checked(stream, 'stream')}.{_checked(analysis, 'analysis')}"


def now(stream: str, analysis: str) -> str:
    """Return the subject of the provisional estimates of an analysis."""
    return f"cwt.now.{_checked(stream, 'stream')}.{_checked(analysis, 'analysis')}"


def now_of(stream: str) -> str:
    """Return the wildcard for all provisional estimates of a stream."""
    return f"cwt.now.{_checked(stream, 'stream')}.*"


def event(stream: str) -> str:
    """Return the subject of a stream's events."""
    return f"cwt.event.{_checked(stream, 'stream')}"


def marker(stream: str) -> str:
    """Return the subject of a stream's markers."""
    return f"cwt.marker.{_checked(stream, 'stream')}"


def mark(stream: str) -> str:
    """Return the subject of a request to ingest to store a marker of a stream."""
    return f"cwt.mark.{_checked(stream, 'stream')}"


def query(op: QueryOp) -> str:
    """Return the subject of a query."""
    return f"cwt.query.{_one_of(op, get_args(QueryOp), 'op')}"


def job(verb: JobVerb) -> str:
    """Return the subject of a request about jobs."""
    return f"cwt.job.{_one_of(verb, get_args(JobVerb), 'verb')}"


def task(job: str) -> str:
    """Return the subject of the tasks of a job."""
    return f"cwt.task.{_checked(job, 'job')}"


def job_result(job: str, task: str) -> str:
    """Return the subject of the outcome of a task."""
    return f"cwt.jobresult.{_checked(job, 'job')}.{_checked(task, 'task')}"


def job_results_of(job: str) -> str:
    """Return the wildcard for all outcomes of a job."""
    return f"cwt.jobresult.{_checked(job, 'job')}.>"


def progress(job: str) -> str:
    """Return the subject of the progress of a job."""
    return f"cwt.progress.{_checked(job, 'job')}"


def dead(where: str) -> str:
    """Return the subject of the dead letters of a service."""
    return f"cwt.dead.{_checked(where, 'where')}"


def audit(kind: AuditedKind, name: str) -> str:
    """Return the subject of the audit records of a stream, a job or a key."""
    return f"cwt.audit.{_one_of(kind, get_args(AuditedKind), 'kind')}.{_checked(name, 'name')}"


def audits_of(kind: AuditedKind) -> str:
    """Return the subjects of the audit records of all streams, all jobs or all keys."""
    return f"cwt.audit.{_one_of(kind, get_args(AuditedKind), 'kind')}.*"


def audits_about(name: str) -> str:
    """Return the subjects of the audit records of what has this name."""
    return f"cwt.audit.*.{_checked(name, 'name')}"


def hw(device: str, verb: HwVerb) -> str:
    """Return the subject of an operation of a device."""
    if _checked(device, "device") == "list":
        raise Unprocessable.of({"device": "list is not a valid name of a device"})
    return f"cwt.hw.{device}.{_one_of(verb, get_args(HwVerb), 'verb')}"


def stream_of_signal(subject: str) -> str:
    """Return the stream of a chunk's subject."""
    return _tokens(subject, "signal", 1)[0]


def stream_of_event(subject: str) -> str:
    """Return the stream of an event's subject."""
    return _tokens(subject, "event", 1)[0]


def stream_of_marker(subject: str) -> str:
    """Return the stream of a marker's subject."""
    return _tokens(subject, "marker", 1)[0]


def stream_of_mark(subject: str) -> str:
    """Return the stream of the subject of a request to store a marker."""
    return _tokens(subject, "mark", 1)[0]


def lane_of_window(subject: str) -> Lane:
    """Return the stream and analysis of a window's subject."""
    return Lane(*_tokens(subject, "window", 2))


def lane_of_result(subject: str) -> Lane:
    """Return the stream and analysis of a result's subject."""
    return Lane(*_tokens(subject, "result", 2))


def job_of_task(subject: str) -> str:
    """Return the job of a task's subject."""
    return _tokens(subject, "task", 1)[0]


def task_of_job_result(subject: str) -> JobTask:
    """Return the job and task of a job result's subject."""
    return JobTask(*_tokens(subject, "jobresult", 2))


def job_of_progress(subject: str) -> str:
    """Return the job of a progress message's subject."""
    return _tokens(subject, "progress", 1)[0]


def where_of_dead(subject: str) -> str:
    """Return the service of a dead letter's subject."""
    return _tokens(subject, "dead", 1)[0]


def _tokens(subject: str, kind: str, count: int) -> tuple[str, ...]:
    pattern = rf"cwt\.{kind}" + rf"\.({NAME_PATTERN})" * count
    match = re.fullmatch(pattern, subject)
    if match is None:
        shape = f"cwt.{kind}" + ".<name>" * count
        raise BadRequest(f"cannot read the subject: it must have the form {shape}")
    return match.groups()


def _checked(value: str, what: str) -> str:
    """Return the name unchanged; `what` is the field that an error names."""
    if not is_name(value):
        raise Unprocessable.of({what: "must be 1 to 64 letters, digits, - or _"})
    return value


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise Unprocessable.of({what: f"must be one of {', '.join(allowed)}"})
    return value
