"""A client of jobs for tests: three lines for each question, and a wait that looks."""

from __future__ import annotations

from contextlib import suppress
from typing import TypeVar

import anyio
import numpy as np

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import ErrorBody, Unavailable
from cwt_schemas.headers import CONTENT_TYPE, SERVICE_ERROR_CODE
from cwt_schemas.job import (
    CwtTask,
    JobCancel,
    JobGet,
    JobList,
    JobListing,
    JobOutcome,
    JobRetry,
    JobState,
    JobSubmit,
    JobSubmitted,
    SignificanceTask,
    TaskRequest,
    WctTask,
)
from cwt_schemas.message import Message
from cwt_schemas.subjects import JobVerb
from tests.deadlines import fail_after

R = TypeVar("R", bound=Message)
PACKED = ContentType.MSGPACK
WAIT_S = 60.0
#: A state is read from the log and lists all tasks: asking more often takes time from the workers.
POLL_S = 0.05


class JobClient:
    """Asks over a bus, in msgpack."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def ask(self, verb: JobVerb, request: Message, reply: type[R]) -> R:
        answer = await self._bus.request(
            subjects.job(verb), encode(request, PACKED), {CONTENT_TYPE: PACKED.value}, timeout_s=5
        )
        given = content_type_of(answer.headers)
        if SERVICE_ERROR_CODE in answer.headers:
            raise decode(ErrorBody, answer.data, given).exception()
        return decode(reply, answer.data, given)

    async def submit(
        self, *tasks: TaskRequest, job_id: str | None = None, name: str | None = None
    ) -> JobSubmitted:
        return await self.ask(
            "submit", JobSubmit(job_id=job_id, name=name, tasks=tasks), JobSubmitted
        )

    async def get(self, job_id: str) -> JobState:
        return await self.ask("get", JobGet(job_id=job_id), JobState)

    async def cancel(self, job_id: str) -> JobState:
        return await self.ask("cancel", JobCancel(job_id=job_id), JobState)

    async def retry(self, job_id: str) -> JobState:
        return await self.ask("retry", JobRetry(job_id=job_id), JobState)

    async def list(self) -> JobListing:
        return await self.ask("list", JobList(), JobListing)

    async def ended(self, job_id: str, *, done: int | None = None) -> JobState:
        """Wait until the job has ended, or this number of tasks is done."""
        with fail_after(WAIT_S):
            while True:
                # Whoever was asked may have been killed before it could answer.
                with suppress(BusError, Unavailable):
                    state = await self.get(job_id)
                    if state.status.ended or (done is not None and state.done >= done):
                        return state
                await anyio.sleep(POLL_S)

    async def outcomes(self, job_id: str) -> dict[str, JobOutcome]:
        """Read the log of outcomes as it stands."""
        found: dict[str, JobOutcome] = {}
        pattern = subjects.job_results_of(job_id)
        async with self._bus.log.read(storage.JOB_RESULTS, (pattern,)) as messages:
            async for stored in messages:
                given = content_type_of(stored.message.headers)
                outcome = decode(JobOutcome, stored.message.data, given)
                assert outcome.task_id not in found, "two outcomes of one task"
                found[outcome.task_id] = outcome
        return found


def quick(seed: int = 0, n: int = 64) -> CwtTask:
    """Some milliseconds."""
    data = np.random.default_rng(seed).standard_normal(n)
    return CwtTask(type="cwt", dt=1.0, data=data)


def coherence(seed: int = 0, n: int = 500, mc_count: int = 100) -> WctTask:
    """About a tenth of a second."""
    one, other = np.random.default_rng(seed).standard_normal((2, n))
    return WctTask(type="wct", dt=1.0, signal1=one, signal2=other, mc_count=mc_count)


def refused() -> WctTask:
    """A task that only the library can see is impossible: its signal doesn't vary."""
    return WctTask(type="wct", dt=1.0, signal1=np.zeros(64), signal2=np.zeros(64), mc_count=5)


def overrated() -> WctTask:
    """A task that is thought to take seconds, a portion of a job by itself, and is refused."""
    return refused().model_copy(update={"mc_count": 12_000})


def endless(seed: int = 0) -> SignificanceTask:
    """More than a minute of one core, in shares of a fifth of a second.

    A share that another worker computes is not cancelled with the task.
    """
    return SignificanceTask(
        type="significance",
        al1=0.5,
        al2=0.5,
        dt=1.0,
        dj=0.25,
        s0=2.0,
        J=99,
        mc_count=30_000,
        seed=seed,
    )
