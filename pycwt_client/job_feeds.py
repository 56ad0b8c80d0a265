"""Read a job: its progress, and the results of its tasks.

Both feeds keep their position in fields, not in a suspended generator: a read that is cancelled
loses nothing, and the next one continues. Reads wait through outages of the server and of the
services, as the feeds of results do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import anyio

from cwt_runtime.bus import Bus, StoredMessage
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus.errors import BusError
from cwt_schemas import storage, subjects
from cwt_schemas.codec import content_type_of, decode, validated
from cwt_schemas.errors import ContractError, Internal, Unavailable
from cwt_schemas.job import JobGet, JobOutcome, JobProgress, JobState, TaskReply
from cwt_schemas.query import (
    CwtReply,
    MwctReply,
    PwctReply,
    SignificanceReply,
    WctReply,
    XwtReply,
)
from pycwt_client.answers import CwtAnswer, MwctAnswer, PwctAnswer, WctAnswer, XwtAnswer
from pycwt_client.request import ASK_TIMEOUT_S, ask, fetch

__all__ = ["Answer", "ProgressFeed", "TaskResult", "TaskResults"]

#: Progress messages may get lost, and a job that waits for a worker has none: a feed that has heard
#: nothing for this long requests the state.
LOOK_S = 1.0
#: A job that was never found is an error once no service has replied for this long.
PATIENCE_S = 5.0
#: Statuses of tasks that have an outcome in the log.
_WITH_OUTCOME = {"done", "failed"}

HeardMessage = TypeVar("HeardMessage")
Item = TypeVar("Item")
Answer = CwtAnswer | XwtAnswer | WctAnswer | PwctAnswer | MwctAnswer | SignificanceReply


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """The result of one task.

    Attributes
    ----------
    index : int
        Place of the task in the job, from 0.
    answer : Answer or None
        The reply that the same query returns; None if the task failed.
    error : ContractError or None
        Why it failed.
    worker : str
        The worker that computed it.
    """

    index: int
    answer: Answer | None
    error: ContractError | None
    worker: str

    def value(self) -> Answer:
        """Return the answer, or raise the error of the task."""
        if self.answer is None:
            raise self.error or Internal(f"task {self.index} has neither an answer nor an error")
        return self.answer


class _JobFeed(ABC, Generic[HeardMessage, Item]):
    """An iteration that waits for messages, and requests the state when none has come for long."""

    def __init__(self, bus: Bus, job_id: str) -> None:
        self._bus = bus
        self.job_id = job_id
        self._opened = AsyncExitStack()
        self._messages: AsyncIterator[HeardMessage] | None = None
        #: Time spent waiting since the last message or the last request for the state.
        self._quiet_s = 0.0
        #: The job was found.
        self._is_known = False
        self._unserved_since: float | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        try:
            item = await self._next_item()
        except ContractError:
            await self.aclose()
            raise
        if item is None:
            await self.aclose()
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Stop listening; a later read continues at the same place."""
        opened, self._opened, self._messages = self._opened, AsyncExitStack(), None
        await opened.aclose()

    @abstractmethod
    async def _next_item(self) -> Item | None:
        """Return the next item; None at the end."""

    async def _next_message(self, messages: AsyncIterator[HeardMessage]) -> HeardMessage | None:
        """Return the next message; None if it is time to request the state."""
        began, message = anyio.current_time(), None
        try:
            with anyio.move_on_after(LOOK_S - self._quiet_s):
                message = await anext(messages, None)
        finally:
            waited_s = anyio.current_time() - began
            self._quiet_s = self._quiet_s + waited_s if message is None else 0.0
        return message

    async def _state(self, *, tasks: bool) -> JobState | None:
        """Return the state; None while the server or the service is away."""
        request = validated(JobGet, {"job_id": self.job_id, "results": tasks})
        try:
            state = await ask(
                self._bus, subjects.job("get"), request, JobState, timeout_s=ASK_TIMEOUT_S
            )
        except ContractError as error:
            if not error.transient or self._is_unserved(error):
                raise
            state = None
        else:
            self._is_known = True
        self._quiet_s = 0.0
        return state

    def _is_unserved(self, error: ContractError) -> bool:
        """Return whether no service has replied for longer than a restart takes."""
        if self._is_known or not isinstance(error, Unavailable):
            self._unserved_since = None
            return False
        now = anyio.current_time()
        self._unserved_since = self._unserved_since or now
        return now - self._unserved_since >= PATIENCE_S


class ProgressFeed(_JobFeed[BusMessage, JobProgress]):
    """The progress of a job, now and after every change until its end; see `Job.progress`."""

    def __init__(self, bus: Bus, job_id: str) -> None:
        super().__init__(bus, job_id)
        self._last: JobProgress | None = None
        self._quiet_s = LOOK_S  # the first read requests the state

    async def final_state(self) -> JobState:
        """Return the state with the status of each task, once the service replies."""
        while True:
            state = await self._state(tasks=True)
            if state is not None:
                return state
            await anyio.sleep(LOOK_S)

    async def _next_item(self) -> JobProgress | None:
        while self._last is None or not self._last.status.ended:
            news = await self._news()
            if news is None:
                continue
            last, self._last = self._last, news
            if last is None or _differ(news, last):
                return news
        return None

    async def _news(self) -> JobProgress | None:
        if self._messages is None:
            # Before the state is requested, so that no change is missed in between.
            announced = self._bus.subscribe(subjects.progress(self.job_id))
            self._messages = aiter(await self._opened.enter_async_context(announced))
        if self._quiet_s >= LOOK_S:
            state = await self._state(tasks=False)
            return None if state is None else _progress_of(state)
        message = await self._next_message(self._messages)
        if message is None:
            return None
        return decode(
            JobProgress, message.data, content_type_of(message.headers), ignore_unknown=True
        )


class TaskResults(_JobFeed[StoredMessage, TaskResult]):
    """The result of each task as it arrives; see `Job.results`.

    A result in the object store is fetched within one read, and again by the next one if that is
    cancelled: a timeout must be longer than the transfer of the largest result.
    """

    def __init__(self, bus: Bus, job_id: str) -> None:
        super().__init__(bus, job_id)
        self._seen: set[int] = set()
        #: Outcomes read from the log, but not returned yet.
        self._outcome: StoredMessage | None = None
        self._next_seq = 1
        self._has_ended = False

    async def _next_item(self) -> TaskResult | None:
        while not self._has_ended:
            if self._outcome is not None:
                result = await self._result(self._outcome)
                if result is None:
                    continue
                self._outcome = None
                if result.index not in self._seen:
                    self._seen.add(result.index)
                    return result
            elif self._quiet_s >= LOOK_S:
                self._has_ended = await self._is_complete()
            else:
                self._outcome = await self._next_message(await self._outcomes())
                if self._outcome is not None:
                    self._next_seq = self._outcome.seq + 1
        return None

    async def _outcomes(self) -> AsyncIterator[StoredMessage]:
        if self._messages is None:
            subject = (subjects.job_results_of(self.job_id),)
            outcomes = self._bus.log.replay(storage.JOB_RESULTS, subject, start_seq=self._next_seq)
            self._messages = await self._opened.enter_async_context(outcomes)
        return self._messages

    async def _is_complete(self) -> bool:
        """Return whether the job has ended and each of its outcomes was returned."""
        state = await self._state(tasks=True)
        if state is None or not state.status.ended:
            return False
        finished = {int(each.task_id) for each in state.results if each.status in _WITH_OUTCOME}
        return finished <= self._seen

    async def _result(self, stored: StoredMessage) -> TaskResult | None:
        """Return the result in an outcome; None while its object cannot be reached."""
        try:
            return await self._read(stored.message)
        except ContractError as error:
            if isinstance(error.__cause__, BusError) and error.__cause__.transient:
                await anyio.sleep(LOOK_S)
                return None
            self._outcome = None  # the next read continues with another task
            raise

    async def _read(self, message: BusMessage) -> TaskResult:
        encoding = content_type_of(message.headers)
        outcome = decode(JobOutcome, message.data, encoding, ignore_unknown=True, trusted=True)
        if outcome.object is not None:
            body = await fetch(self._bus, outcome.object)
            outcome = decode(
                JobOutcome, body, encoding, max_bytes=None, ignore_unknown=True, trusted=True
            )
        return TaskResult(
            index=int(outcome.task_id),
            answer=None if outcome.result is None else _answer_of(outcome.result),
            error=None if outcome.error is None else outcome.error.exception(),
            worker=outcome.engine.worker,
        )


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
        case PwctReply():
            return PwctAnswer.of(reply)
        case MwctReply():
            return MwctAnswer.of(reply)
        case _:
            return reply
