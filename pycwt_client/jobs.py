"""Submit jobs of many analyses, follow their progress, and read their results.

Jobs are stored on the bus. A `Job` holds only an id, so `Client.job` can create it again at any
time, in another program or on another machine.
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
from pycwt_client.queries import Queries
from pycwt_client.request import ASK_TIMEOUT_S, ask
from pycwt_client.signals import as_signal, as_signals, check_pair, precision_of, with_plain_numbers

__all__ = ["Answer", "Job", "Jobs", "TaskResult"]

#: The service checks thousands of tasks before it accepts a job.
SUBMIT_TIMEOUT_S = 60.0
SIGNALS = ("data", "signal1", "signal2", "target")

Task = TaskRequest | Mapping[str, Any]


class Jobs(Queries):
    """Jobs of many tasks; `pycwt_client.Client` inherits these methods."""

    async def submit(
        self,
        tasks: Iterable[Task],
        *,
        name: str | None = None,
        job_id: str | None = None,
        timeout_s: float = SUBMIT_TIMEOUT_S,
    ) -> Job:
        """Submit a job, which is executed even if this program ends.

        Submitting the same tasks again, under the same id or without one, has no effect and returns
        the same job. Thousands of tasks are sent through the object store.

        Parameters
        ----------
        tasks
            Each has a ``type`` (``cwt``, ``xwt``, ``wct``, ``pwct``, ``mwct`` or ``significance``)
            and the fields of that query, as in docs/messages.md; signals are array-like.
        name
            Descriptive name.
        job_id
            1 to 64 of ``A-Z a-z 0-9 _ -``; derived from the content by default.

        Raises
        ------
        Unprocessable
            A task is not valid; none was queued.
        Conflict
            Another job has this id.
        """
        listed = [_as_task(index, task) for index, task in enumerate(tasks)]
        fields = {"job_id": job_id, "name": name}
        request = validated(JobSubmit, {**fields, "tasks": listed})
        if len(encode(request, ContentType.MSGPACK, max_bytes=None)) > self.bus.max_message_bytes:
            request = await self._kept_apart(request, fields)
        reply = await self.ask(subjects.job("submit"), request, JobSubmitted, timeout_s=timeout_s)
        return self.job(reply.job_id)

    def job(self, job_id: str) -> Job:
        """Return the job with this id, without checking that it exists."""
        return Job(self.bus, job_id)

    async def jobs(
        self,
        status: JobStatus | None = None,
        *,
        limit: int = 100,
        timeout_s: float = ASK_TIMEOUT_S,
    ) -> tuple[JobState, ...]:
        """Return the existing jobs, the newest first."""
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
                f"cannot submit {len(body)} bytes of tasks: they exceed a message, and the object "
                f"store refused them ({error}); split the job, or raise CWT_OBJECTS_MAX_BYTES",
                {"size": len(body)},
            ) from error
        return JobSubmit(**fields, tasks_object=place)


class Job:
    """One job; `Client.submit` and `Client.job` create it.

    Every method raises `ContractError`: `NotFound` if the job is unknown or has expired.
    """

    def __init__(self, bus: Bus, job_id: str) -> None:
        self._bus = bus
        self.job_id = job_id

    async def state(self, *, tasks: bool = False, timeout_s: float = ASK_TIMEOUT_S) -> JobState:
        """Return the state of the job; with `tasks`, the status of each task in `results`."""
        request = validated(JobGet, {"job_id": self.job_id, "results": tasks})
        return await self._ask(subjects.job("get"), request, timeout_s)

    async def cancel(self, *, timeout_s: float = ASK_TIMEOUT_S) -> JobState:
        """Cancel the job: running tasks end soon, and the others never start.

        Raises
        ------
        Conflict
            The job has already ended.
        """
        return await self._ask(
            subjects.job("cancel"), validated(JobCancel, {"job_id": self.job_id}), timeout_s
        )

    async def retry(self, *, timeout_s: float = ASK_TIMEOUT_S) -> JobState:
        """Retry the tasks that failed or were cancelled.

        Raises
        ------
        Conflict
            No task failed or was cancelled.
        """
        return await self._ask(
            subjects.job("retry"), validated(JobRetry, {"job_id": self.job_id}), timeout_s
        )

    def progress(self) -> ProgressFeed:
        """Iterate over the progress of the job: the current state, then every change until the end.

        A cancelled read loses nothing, and reads wait through outages. `aclose` stops the iteration
        early, as does ``async with contextlib.aclosing(...)``.
        """
        return ProgressFeed(self._bus, self.job_id)

    async def wait(self, timeout_s: float | None = None) -> JobState:
        """Wait for the end of the job, and return its final state.

        Raises
        ------
        TimeoutError
            The job did not end within `timeout_s`; it continues.
        """
        with anyio.fail_after(timeout_s):
            async with aclosing(self.progress()) as progress:
                async for _ in progress:
                    pass
                return await progress.final_state()

    def results(self) -> TaskResults:
        """Iterate over the results of the tasks as they arrive, until the job has ended.

        Results computed earlier come first, so a job can be read from its beginning any number of
        times. Cancelled tasks have no result. A cancelled read loses nothing, and reads wait
        through outages. A timeout must be longer than the transfer of the largest result. `aclose`
        stops the iteration early, as does ``async with contextlib.aclosing(...)``.
        """
        return TaskResults(self._bus, self.job_id)

    async def collect(self, timeout_s: float | None = None) -> tuple[TaskResult, ...]:
        """Wait for the end of the job, and return the outcome of each task, in their order.

        Raises
        ------
        TimeoutError
            The job did not end within `timeout_s`; it continues.
        """
        with anyio.fail_after(timeout_s):
            async with aclosing(self.results()) as results:
                collected = [each async for each in results]
        return tuple(sorted(collected, key=lambda each: each.index))

    async def _ask(self, subject: str, request: Message, timeout_s: float) -> JobState:
        return await ask(self._bus, subject, request, JobState, timeout_s=timeout_s)


def _as_task(index: int, task: Task) -> Message | dict[str, Any]:
    """Return the encodable form of a task: signals as floats, in their own precision."""
    if isinstance(task, Message):
        return task
    if not isinstance(task, Mapping):
        kind = type(task).__name__
        raise Unprocessable.of({f"tasks.{index}": f"{kind}, a dict of its fields is expected"})
    check_pair(task.get("signal1"), task.get("signal2"))
    signals = {
        name: as_signal(f"tasks.{index}.{name}", task[name]) for name in SIGNALS if name in task
    }
    if "given" in task:
        signals["given"] = as_signals(f"tasks.{index}.given", task["given"])
    precision = {"dtype": precision_of(*signals.values())} if signals else {}
    return {**precision, **with_plain_numbers(task), **signals}
