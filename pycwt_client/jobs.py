"""Jobs: handing over many analyses at once, how far they are, and what came out.

A job lives on the bus. A `Job` holds its id and nothing else, so it can be made anew at any time,
in another program, on another machine, by `Client.job`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode, validated
from cwt_schemas.errors import Unavailable, Unprocessable
from cwt_schemas.job import (
    JobCancel,
    JobGet,
    JobList,
    JobListing,
    JobRetry,
    JobState,
    JobStatus,
    JobSubmit,
    JobSubmitted,
    JobTasks,
    TaskRequest,
)
from cwt_schemas.message import Message
from pycwt_client.job_feeds import Answer, ProgressFeed, TaskResult, TaskResults
from pycwt_client.queries import ASK_TIMEOUT_S, Queries, ask
from pycwt_client.signals import as_signal, check_pair, precision_of, with_plain_numbers

__all__ = ["Answer", "Job", "Jobs", "TaskResult"]

#: Thousands of tasks are looked at, one by one, before the job is taken.
SUBMIT_TIMEOUT_S = 60.0
SIGNALS = ("data", "signal1", "signal2")

Task = TaskRequest | Mapping[str, Any]


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

    def progress(self) -> ProgressFeed:
        """Iterate over the progress of the job: now, and after every change until its end.

        A read that is cancelled loses nothing, and reads wait through outages. `aclose` stops
        before the end, as does ``async with contextlib.aclosing(...)``.
        """
        return ProgressFeed(self._bus, self.job_id)

    async def wait(self, timeout_s: float | None = None) -> JobState:
        """Return how it ended.

        Raises
        ------
        TimeoutError
            Not within `timeout_s`; the job goes on.
        """
        with anyio.fail_after(timeout_s):
            async with aclosing(self.progress()) as progress:
                async for _ in progress:
                    pass
                return await progress.final_state()

    def results(self) -> TaskResults:
        """Iterate over the result of each task as soon as it is there, until the job has ended.

        Results that were computed before come first, so a job can be read from its beginning any
        number of times. Tasks that were cancelled have no result. A read that is cancelled loses
        nothing, and reads wait through outages; a timeout has to be longer than the transfer of the
        largest result. `aclose` stops before the end, as does
        ``async with contextlib.aclosing(...)``.
        """
        return TaskResults(self._bus, self.job_id)

    async def collect(self, timeout_s: float | None = None) -> tuple[TaskResult, ...]:
        """Wait for the end and return what came of each task, in their order.

        Raises
        ------
        TimeoutError
            The end did not come within `timeout_s`; the job goes on.
        """
        with anyio.fail_after(timeout_s):
            async with aclosing(self.results()) as results:
                collected = [each async for each in results]
        return tuple(sorted(collected, key=lambda each: each.index))

    async def _ask(self, subject: str, request: Message, timeout_s: float) -> JobState:
        return await ask(self._bus, subject, request, JobState, timeout_s=timeout_s)


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
