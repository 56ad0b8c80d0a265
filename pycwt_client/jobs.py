"""Jobs: handing over many analyses at once, how far they are, and what came out.

A job lives on the bus. A `Job` holds its id and nothing else, so it can be made anew at any time,
in another program, on another machine, by `Client.job`.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from cwt_runtime.bus import Bus, StoredMessage
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus.errors import BusError
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode, validated
from cwt_schemas.errors import ContractError, Internal, Unavailable, Unprocessable
from cwt_schemas.job import (
    JobCancel,
    JobGet,
    JobList,
    JobListing,
    JobOutcome,
    JobProgress,
    JobRetry,
    JobState,
    JobStatus,
    JobSubmit,
    JobSubmitted,
    JobTasks,
    TaskReply,
    TaskRequest,
)
from cwt_schemas.message import Message
from cwt_schemas.query import CwtReply, SignificanceReply, WctReply, XwtReply
from pycwt_client.queries import (
    ASK_TIMEOUT_S,
    CwtAnswer,
    Queries,
    WctAnswer,
    XwtAnswer,
    ask,
    fetch,
)
from pycwt_client.signals import as_signal, check_pair, precision_of, with_plain_numbers

__all__ = ["Answer", "Job", "Jobs", "TaskResult"]

#: Thousands of tasks are looked at, one by one, before the job is taken.
SUBMIT_TIMEOUT_S = 60.0
#: Announcements may get lost, and a job that nobody works on has none: so often the truth is asked.
LOOK_S = 1.0
SIGNALS = ("data", "signal1", "signal2")
#: Statuses of tasks that have an outcome in the log.
_WITH_OUTCOME = {"done", "failed"}

Task = TaskRequest | Mapping[str, Any]
Answer = CwtAnswer | XwtAnswer | WctAnswer | SignificanceReply


class Jobs(Queries):
    """Jobs of many tasks; `pycwt_client.Client` is one."""

    async def submit(
        self,
        tasks: Iterable[Task],
        *,
        name: str | None = None,
        job_id: str | None = None,
        timeout_s: float = SUBMIT_TIMEOUT_S,
    ) -> Job:
        """Hand over a job; it is worked on whether or not this program goes on.

        Submitting the same again, under the same id or without any, changes nothing and gives the
        same job. Thousands of tasks go through the object store.

        Parameters
        ----------
        tasks
            Each a ``type`` (``cwt``, ``xwt``, ``wct`` or ``significance``) and the fields of that
            query, as in docs/messages.md; signals as numpy has them.
        name
            For people.
        job_id
            1 to 64 of ``A-Z a-z 0-9 _ -``; made from the content if there is none.

        Raises
        ------
        Unprocessable
            A task is wrong; nothing was queued.
        Conflict
            There is another job of that id.
        """
        listed = [_as_task(index, task) for index, task in enumerate(tasks)]
        fields = {"job_id": job_id, "name": name}
        request = validated(JobSubmit, {**fields, "tasks": listed})
        if len(encode(request, ContentType.MSGPACK, max_bytes=None)) > self.bus.max_message_bytes:
            request = await self._kept_apart(request, fields)
        reply = await self.ask(subjects.job("submit"), request, JobSubmitted, timeout_s=timeout_s)
        return self.job(reply.job_id)

    def job(self, job_id: str) -> Job:
        """Return the job of that id; whether there is one shows when it is asked."""
        return Job(self.bus, job_id)

    async def jobs(
        self,
        status: JobStatus | None = None,
        *,
        limit: int = 100,
        timeout_s: float = ASK_TIMEOUT_S,
    ) -> tuple[JobState, ...]:
        """Return the jobs there are, the newest first."""
        request = validated(JobList, {"status": status, "limit": limit})
        reply = await self.ask(subjects.job("list"), request, JobListing, timeout_s=timeout_s)
        return reply.jobs

    async def _kept_apart(self, request: JobSubmit, fields: Mapping[str, Any]) -> JobSubmit:
        body = encode(JobTasks(tasks=request.tasks), ContentType.MSGPACK, max_bytes=None)
        try:
            objects = await self.bus.log.objects(storage.OBJECTS)
            place = await objects.put(f"tasks-{secrets.token_hex(16)}", body)
        except BusError as error:
            raise Unavailable(
                f"the tasks have {len(body)} bytes, more than a message carries, and the object "
                f"store does not take them ({error}): make several jobs of it, or more room "
                "(CWT_OBJECTS_MAX_BYTES)",
                {"size": len(body)},
            ) from error
        return JobSubmit(**fields, tasks_object=place)


class Job:
    """One job; `Client.submit` and `Client.job` make it.

    Every method raises `ContractError`: `NotFound` if the job is unknown or has expired.
    """

    def __init__(self, bus: Bus, job_id: str) -> None:
        self._bus = bus
        self.job_id = job_id

    async def state(self, *, tasks: bool = False, timeout_s: float = ASK_TIMEOUT_S) -> JobState:
        """Return how it stands; with `tasks`, each task's status in `results`."""
        request = validated(JobGet, {"job_id": self.job_id, "results": tasks})
        return await self._ask(subjects.job("get"), request, timeout_s)

    async def cancel(self, *, timeout_s: float = ASK_TIMEOUT_S) -> JobState:
        """Stop it: what runs ends soon, and the rest never starts.

        Raises
        ------
        Conflict
            It has ended already.
        """
        return await self._ask(
            subjects.job("cancel"), validated(JobCancel, {"job_id": self.job_id}), timeout_s
        )

    async def retry(self, *, timeout_s: float = ASK_TIMEOUT_S) -> JobState:
        """Have the tasks that failed or were cancelled computed again.

        Raises
        ------
        Conflict
            None did.
        """
        return await self._ask(
            subjects.job("retry"), validated(JobRetry, {"job_id": self.job_id}), timeout_s
        )

    async def progress(self) -> AsyncGenerator[JobProgress, None]:
        """Tell how far it is, at once and with every change, until it has ended."""
        async with self._bus.subscribe(subjects.progress(self.job_id)) as announced:
            announcements = aiter(announced)
            last: JobProgress | None = None
            while last is None or not last.status.ended:
                news = await _announcement(announcements) if last else None
                if news is None:
                    news = _progress_of(await self.state())
                if last is None or _differ(news, last):
                    yield news
                last = news

    async def wait(self, timeout_s: float | None = None) -> JobState:
        """Return how it ended.

        Raises
        ------
        TimeoutError
            Not within `timeout_s`; the job goes on.
        """
        with anyio.fail_after(timeout_s):
            async for _ in self.progress():
                pass
        return await self.state(tasks=True)

    async def results(self) -> AsyncGenerator[TaskResult, None]:
        """Give what came of each task, as it comes, until all that will come did.

        What was computed before is given first, so a job can be read from its beginning as often as
        wanted. Tasks that were cancelled give nothing.
        """
        seen: set[int] = set()
        subject = (subjects.job_results_of(self.job_id),)
        async with self._bus.log.replay(storage.JOB_RESULTS, subject) as outcomes:
            while True:
                stored = await _next_outcome(outcomes)
                if stored is not None:
                    found = await self._result(stored)
                    if found.index not in seen:
                        seen.add(found.index)
                        yield found
                elif await self._all_given(seen):
                    return

    async def collect(self, timeout_s: float | None = None) -> tuple[TaskResult, ...]:
        """Wait for the end and return what came of each task, in their order.

        Raises
        ------
        TimeoutError
            The end did not come within `timeout_s`; the job goes on.
        """
        with anyio.fail_after(timeout_s):
            found = [each async for each in self.results()]
        return tuple(sorted(found, key=lambda each: each.index))

    async def _ask(self, subject: str, request: Message, timeout_s: float) -> JobState:
        return await ask(self._bus, subject, request, JobState, timeout_s=timeout_s)

    async def _all_given(self, seen: set[int]) -> bool:
        state = await self.state(tasks=True)
        finished = {int(each.task_id) for each in state.results if each.status in _WITH_OUTCOME}
        return state.status.ended and finished <= seen

    async def _result(self, stored: StoredMessage) -> TaskResult:
        message = stored.message
        encoding = content_type_of(message.headers)
        outcome = decode(JobOutcome, message.data, encoding)
        if outcome.object is not None:
            body = await fetch(self._bus, outcome.object)
            outcome = decode(JobOutcome, body, encoding, max_bytes=None)
        return TaskResult(
            index=int(outcome.task_id),
            answer=None if outcome.result is None else _answer_of(outcome.result),
            error=None if outcome.error is None else outcome.error.exception(),
            worker=outcome.engine.worker,
        )


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What became of one task.

    Attributes
    ----------
    index : int
        Place of the task in the job, from 0.
    answer : Answer or None
        As the same query gives; None if the task failed.
    error : ContractError or None
        Why it failed.
    worker : str
        Who computed it.
    """

    index: int
    answer: Answer | None
    error: ContractError | None
    worker: str

    def value(self) -> Answer:
        """Return the answer, or raise why there is none."""
        if self.answer is None:
            raise self.error or Internal(f"task {self.index} has neither an answer nor an error")
        return self.answer


def _as_task(index: int, task: Task) -> Message | dict[str, Any]:
    """Return what the message takes: signals as floats, in the precision that they have."""
    if isinstance(task, Message):
        return task
    if not isinstance(task, Mapping):
        kind = type(task).__name__
        raise Unprocessable.of({f"tasks.{index}": f"{kind}, a dict of its fields is expected"})
    check_pair(task.get("signal1"), task.get("signal2"))
    signals = {
        name: as_signal(f"tasks.{index}.{name}", task[name]) for name in SIGNALS if name in task
    }
    precision = {"dtype": precision_of(*signals.values())} if signals else {}
    return {**precision, **with_plain_numbers(task), **signals}


async def _announcement(announcements: AsyncIterator[BusMessage]) -> JobProgress | None:
    """Return what is announced next; None if nothing is for a while."""
    with anyio.move_on_after(LOOK_S):
        message = await anext(announcements, None)
        if message is not None:
            return decode(JobProgress, message.data, content_type_of(message.headers))
    return None


async def _next_outcome(outcomes: AsyncIterator[StoredMessage]) -> StoredMessage | None:
    """Return the next one in the log; None if none comes for a while. Nothing is lost."""
    with anyio.move_on_after(LOOK_S):
        return await anext(outcomes)
    return None


def _progress_of(state: JobState) -> JobProgress:
    return JobProgress(
        job_id=state.job_id,
        status=state.status,
        progress=state.progress,
        tasks_count=state.tasks_count,
        done=state.done,
        failed=state.failed,
        t_ns=state.finished_ns or state.started_ns or state.created_ns,
    )


def _differ(one: JobProgress, other: JobProgress) -> bool:
    same = {"t_ns": other.t_ns}
    return one.model_copy(update=same) != other


def _answer_of(reply: TaskReply) -> Answer:
    match reply:
        case CwtReply():
            return CwtAnswer.of(reply)
        case XwtReply():
            return XwtAnswer.of(reply)
        case WctReply():
            return WctAnswer.of(reply)
        case _:
            return reply
