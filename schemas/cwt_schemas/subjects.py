"""Every subject of the project, and nobody else spells one.

Builders check their arguments, so a subject that exists is a subject that parses. A name that is
none raises ``Unprocessable``; a subject that a parser can't read raises ``BadRequest``.
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
    "significance",
    "backends",
    "backend",
    "hardware",
    "benchmark",
    "simulate",
    "schema",
    "health",
]
JobVerb = Literal["submit", "get", "list", "cancel", "retry"]
HwVerb = Literal["info", "selftest", "fft", "cwt", "mc", "cancel"]

#: What a service or a JetStream stream listens to: all subjects of a kind. What devices publish is
#: taken in whatever its form, so that a wrong subject is told; what services publish is of one.
SIGNALS: Final = "cwt.signal.>"
STREAMS: Final = "cwt.stream.>"
WINDOWS: Final = "cwt.window.*.*"
RESULTS: Final = "cwt.result.*.*"
EVENTS: Final = "cwt.event.*"
MARKERS: Final = "cwt.marker.*"
QUERIES: Final = "cwt.query.>"
JOBS: Final = "cwt.job.>"
TASKS: Final = "cwt.task.>"
JOB_RESULTS: Final = "cwt.jobresult.>"
PROGRESS: Final = "cwt.progress.>"
DEAD: Final = "cwt.dead.>"
HW: Final = "cwt.hw.>"

#: Where the devices' states and faults are read; no stream may be called ``hw``.
HW_EVENTS: Final = "cwt.event.hw"

#: What the subjects of a device begin with, with its name still to be filled in.
HW_DEVICE: Final = "cwt.hw.{device}"

#: Asks the bridge for its devices and ports; no device may be called ``list``.
HW_LIST: Final = "cwt.hw.list"


class Lane(NamedTuple):
    """One analysis of one stream, which windows and results belong to."""

    stream: str
    analysis: str


class JobTask(NamedTuple):
    """One task of one job."""

    job: str
    task: str


def signal(stream: str) -> str:
    """Where a device publishes the chunks of a stream."""
    return f"cwt.signal.{_checked(stream, 'stream')}"


def stream(verb: StreamVerb) -> str:
    """Where stream definitions are put, read, listed and deleted, and ingest is asked."""
    return f"cwt.stream.{_one_of(verb, get_args(StreamVerb), 'verb')}"


def window(stream: str, analysis: str) -> str:
    """Where windows wait for a worker."""
    return f"cwt.window.{_checked(stream, 'stream')}.{_checked(analysis, 'analysis')}"


def windows_of(stream: str) -> str:
    """All windows of a stream."""
    return f"cwt.window.{_checked(stream, 'stream')}.*"


def result(stream: str, analysis: str) -> str:
    """Where results are read."""
    return f"cwt.result.{_checked(stream, 'stream')}.{_checked(analysis, 'analysis')}"


def results_of(stream: str) -> str:
    """All results of a stream."""
    return f"cwt.result.{_checked(stream, 'stream')}.*"


def event(stream: str) -> str:
    """Where a stream's gaps, restarts and refusals are read."""
    return f"cwt.event.{_checked(stream, 'stream')}"


def marker(stream: str) -> str:
    """Return the subject of a stream's markers."""
    return f"cwt.marker.{_checked(stream, 'stream')}"


def query(op: QueryOp) -> str:
    """Return the subject of a synchronous query."""
    return f"cwt.query.{_one_of(op, get_args(QueryOp), 'op')}"


def job(verb: JobVerb) -> str:
    """Where jobs are submitted and looked after."""
    return f"cwt.job.{_one_of(verb, get_args(JobVerb), 'verb')}"


def task(job: str) -> str:
    """Where the tasks of a job wait for a worker."""
    return f"cwt.task.{_checked(job, 'job')}"


def job_result(job: str, task: str) -> str:
    """Where the result of a task is kept."""
    return f"cwt.jobresult.{_checked(job, 'job')}.{_checked(task, 'task')}"


def job_results_of(job: str) -> str:
    """All results of a job."""
    return f"cwt.jobresult.{_checked(job, 'job')}.>"


def progress(job: str) -> str:
    """Where the progress of a job is announced."""
    return f"cwt.progress.{_checked(job, 'job')}"


def dead(where: str) -> str:
    """Where a service leaves what it gave up on."""
    return f"cwt.dead.{_checked(where, 'where')}"


def hw(device: str, verb: HwVerb) -> str:
    """Where a device takes a command."""
    if _checked(device, "device") == "list":
        raise Unprocessable.of({"device": "no device can be called list"})
    return f"cwt.hw.{device}.{_one_of(verb, get_args(HwVerb), 'verb')}"


def stream_of_signal(subject: str) -> str:
    """Return the stream that a chunk on this subject belongs to."""
    return _tokens(subject, "signal", 1)[0]


def stream_of_event(subject: str) -> str:
    """Return the stream that an event on this subject is about."""
    return _tokens(subject, "event", 1)[0]


def stream_of_marker(subject: str) -> str:
    """Return the stream that a marker on this subject is about."""
    return _tokens(subject, "marker", 1)[0]


def lane_of_window(subject: str) -> Lane:
    """Return the stream and analysis of a window's subject."""
    return Lane(*_tokens(subject, "window", 2))


def lane_of_result(subject: str) -> Lane:
    """Return the stream and analysis of a result's subject."""
    return Lane(*_tokens(subject, "result", 2))


def job_of_task(subject: str) -> str:
    """Return the job that a task on this subject belongs to."""
    return _tokens(subject, "task", 1)[0]


def task_of_job_result(subject: str) -> JobTask:
    """Return the job and task of a job result's subject."""
    return JobTask(*_tokens(subject, "jobresult", 2))


def job_of_progress(subject: str) -> str:
    """Return the job that this progress is about."""
    return _tokens(subject, "progress", 1)[0]


def where_of_dead(subject: str) -> str:
    """Return who gave up."""
    return _tokens(subject, "dead", 1)[0]


def _tokens(subject: str, kind: str, count: int) -> tuple[str, ...]:
    pattern = rf"cwt\.{kind}" + rf"\.({NAME_PATTERN})" * count
    match = re.fullmatch(pattern, subject)
    if match is None:
        shape = f"cwt.{kind}" + ".<name>" * count
        raise BadRequest(f"the subject is not of the form {shape}")
    return match.groups()


def _checked(value: str, what: str) -> str:
    """Return the name unchanged; ``what`` is the field that a refusal names."""
    if not is_name(value):
        raise Unprocessable.of({what: "1 to 64 letters, digits, - or _ are possible"})
    return value


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise Unprocessable.of({what: f"one of {', '.join(allowed)} is possible"})
    return value
