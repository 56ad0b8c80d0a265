"""Handing over many analyses at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from pycwt_client.job import ASK_TIMEOUT_S, Job
from pycwt_client.queries import Queries
from pycwt_client.signals import as_signal, check_pair, precision_of, with_plain_numbers
from schemas import storage, subjects
from schemas.codec import ContentType, encode, validated
from schemas.errors import Unavailable, Unprocessable
from schemas.job import (
    JobList,
    JobListing,
    JobState,
    JobStatus,
    JobSubmit,
    JobSubmitted,
    JobTasks,
    TaskRequest,
)
from schemas.message import Message
from services.runtime.bus.errors import BusError

__all__ = ["Jobs"]

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
        question = validated(JobSubmit, {**fields, "tasks": listed})
        if len(encode(question, ContentType.MSGPACK, max_bytes=None)) > self.bus.max_message_bytes:
            question = await self._kept_apart(question, fields)
        reply = await self.ask(subjects.job("submit"), question, JobSubmitted, timeout_s=timeout_s)
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
        question = validated(JobList, {"status": status, "limit": limit})
        reply = await self.ask(subjects.job("list"), question, JobListing, timeout_s=timeout_s)
        return reply.jobs

    async def _kept_apart(self, question: JobSubmit, fields: Mapping[str, Any]) -> JobSubmit:
        body = encode(JobTasks(tasks=question.tasks), ContentType.MSGPACK, max_bytes=None)
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
