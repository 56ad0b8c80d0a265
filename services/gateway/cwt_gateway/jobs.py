"""Jobs: submit them, follow them, and read the outcomes of their tasks."""

from __future__ import annotations

from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from cwt_gateway.authentication import grant_of
from cwt_gateway.caller import Caller, Calling
from cwt_gateway.contract import contract
from cwt_gateway.keys import Grant
from cwt_gateway.media import Media, accepted, check_accepts, respond, respond_message
from cwt_gateway.problems import ProblemDetails, problem_of
from cwt_gateway.relay import forward
from cwt_gateway.reply_budget import hold_reply
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Stop
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.endpoints import JOB_ENDPOINTS
from cwt_schemas.errors import ContractError, NotFound
from cwt_schemas.job import (
    JobListing,
    JobOutcome,
    JobProgress,
    JobState,
    JobStatus,
    JobSubmit,
    JobSubmitted,
)
from cwt_schemas.limits import MAX_LISTED_JOBS
from cwt_schemas.message import is_name
from pycwt_client import Job
from pycwt_client.jobs import SUBMIT_TIMEOUT_S
from pycwt_client.request import fetch

__all__ = ["router"]

#: Proxies close a connection that is silent for half a minute or more.
KEEP_ALIVE_S: Final = 15.0
#: Pause before reading the state again after a transient failure.
RETRY_S: Final = 1.0
EVENT_STREAM: Final = "text/event-stream"

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])


@router.post("", summary="Submit a job", status_code=HTTPStatus.ACCEPTED)
@contract(request=JobSubmit, reply=JobSubmitted, archive=False, status=HTTPStatus.ACCEPTED)
async def submit_job(request: Request, caller: Calling) -> Response:
    """Submit a job. Submitting the same job again, with the same id or none, changes nothing."""
    media = accepted(request)
    endpoint = JOB_ENDPOINTS[subjects.job("submit")]
    packed = await forward(request, caller, endpoint, timeout_s=SUBMIT_TIMEOUT_S)
    job_id = decode(JobSubmitted, packed, ContentType.MSGPACK).job_id
    where = {"Location": f"{router.prefix}/{job_id}"}
    return await respond(request, packed, media, status=HTTPStatus.ACCEPTED, headers=where)


@router.get("", summary="List jobs, newest first")
@contract(reply=JobListing, archive=False)
async def list_jobs(
    request: Request,
    caller: Calling,
    status: JobStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED_JOBS)] = 100,
) -> Response:
    """Return the jobs without their tasks."""
    listed = await caller.client.jobs(status, limit=limit)
    return await respond_message(request, JobListing(jobs=listed))


@router.get("/{job_id}", summary="Status of a job and its tasks")
@contract(reply=JobState, archive=False)
async def get_job(request: Request, caller: Calling, job_id: str) -> Response:
    """Return the status of a job and of each of its tasks."""
    return await respond_message(request, await _job(caller, job_id).state(tasks=True))


@router.delete("/{job_id}", summary="Cancel a job")
@contract(reply=JobState, archive=False)
async def cancel_job(request: Request, caller: Calling, job_id: str) -> Response:
    """Cancel the tasks that have not ended; status 409 if the job has completed or failed."""
    accepted(request)
    return await respond_message(request, await _job(caller, job_id).cancel())


@router.post("/{job_id}/retry", summary="Retry failed and cancelled tasks")
@contract(reply=JobState, archive=False)
async def retry_job(request: Request, caller: Calling, job_id: str) -> Response:
    """Recompute failed and cancelled tasks; status 409 if there are none."""
    accepted(request)
    return await respond_message(request, await _job(caller, job_id).retry())


@router.get("/{job_id}/results/{task}", summary="Outcome of a task")
@contract(reply=JobOutcome)
async def get_outcome(request: Request, caller: Calling, job_id: str, task: str) -> Response:
    """Return the result of a task or its error; as a NumPy archive, only the result."""
    media = accepted(request)
    message = await _outcome(caller, _job(caller, job_id), task)
    body, encoding = message.data, content_type_of(message.headers)
    outcome = decode(JobOutcome, body, encoding, trusted=True)
    if outcome.object is not None:
        hold_reply(request, outcome.object.size)
        body = await fetch(caller.bus, outcome.object)
    packed = await anyio.to_thread.run_sync(_packed, body, encoding, media)
    return await respond(request, packed, media)


class ProgressEvents(Response):
    """Server-sent events of a job, until it, its client, the gateway or the key ends."""

    media_type = EVENT_STREAM

    def __init__(self, job: Job, stop: Stop, grant: Grant | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._job = job
        self._stop = stop
        self._grant = grant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        del scope
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        async with anyio.create_task_group() as tasks:

            async def leave_when_disconnected() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            async def leave_when_stopping() -> None:
                await self._stop.wait()
                tasks.cancel_scope.cancel()

            async def leave_when_ended(grant: Grant) -> None:
                await grant.ended()
                tasks.cancel_scope.cancel()

            async def keep_alive() -> None:
                while True:
                    await anyio.sleep(KEEP_ALIVE_S)
                    await _send_part(send, b": keep-alive\n\n")

            tasks.start_soon(leave_when_disconnected)
            tasks.start_soon(leave_when_stopping)
            tasks.start_soon(keep_alive)
            if self._grant is not None:
                tasks.start_soon(leave_when_ended, self._grant)
            await self._send_events(send)
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        last: JobProgress | None = None
        while last is None or not last.status.ended:
            try:
                async with aclosing(self._job.progress()) as changes:
                    async for progress in changes:
                        if progress != last:
                            await _send_part(send, _event("progress", _json(progress)))
                        last = progress
            except (BusError, ContractError) as error:
                if isinstance(error, ContractError) and not error.transient:  # the job has expired
                    await _send_part(send, _event("end", bytes(problem_of(error).body)))
                    return
                await anyio.sleep(RETRY_S)
        await _send_part(send, _event("end", _json(last)))


@router.get("/{job_id}/events", summary="Progress as server-sent events")
@contract(media_types=(EVENT_STREAM,))
async def get_events(request: Request, caller: Calling, job_id: str) -> Response:
    """Send ``progress`` immediately and at every change, then ``end``, and close."""
    check_accepts(request, EVENT_STREAM)
    job = _job(caller, job_id)
    await job.state()
    return ProgressEvents(job, request.app.state.stop, grant_of(request))


def _job(caller: Caller, job_id: str) -> Job:
    if not is_name(job_id):
        raise NotFound("invalid job id: use 1 to 64 letters, digits, - or _")
    return caller.client.job(job_id)


async def _outcome(caller: Caller, job: Job, task: str) -> BusMessage:
    """Return the newest outcome of a task.

    Raises
    ------
    NotFound
        The job or the task does not exist, or has no outcome yet or any more.
    """
    if is_name(task):
        newest = None
        subject = (subjects.job_result(job.job_id, task),)
        async with caller.bus.log.read(storage.JOB_RESULTS, subject) as outcomes:
            async for stored in outcomes:
                newest = stored.message
        if newest is not None:
            return newest
    state = await job.state(tasks=True)
    status = next((each.status for each in state.results if each.task_id == task), None)
    if status is None:
        raise NotFound(
            f"job {job.job_id} has no task with this number; its tasks are 0 to "
            f"{state.tasks_count - 1}"
        )
    raise NotFound(f"task {task} is {status} and has no outcome in the log")


def _packed(body: bytes, encoding: ContentType, media: Media) -> bytes:
    """Return an outcome in msgpack; for an archive, only its result.

    Raises
    ------
    ProblemDetails
        406: the task failed, and an archive is requested.
    """
    if encoding is ContentType.MSGPACK and media is not Media.NPZ:
        return body
    outcome = decode(JobOutcome, body, encoding, max_bytes=None, trusted=True)
    if media is not Media.NPZ:
        return encode(outcome, ContentType.MSGPACK, max_bytes=None)
    if outcome.result is None:
        reason = "" if outcome.error is None else outcome.error.message
        raise ProblemDetails(
            HTTPStatus.NOT_ACCEPTABLE,
            "not_acceptable",
            f"the task failed and has no result: {reason}; application/json has the outcome",
        )
    return encode(outcome.result, ContentType.MSGPACK, max_bytes=None)


def _json(progress: JobProgress) -> bytes:
    return encode(progress, ContentType.JSON)


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


async def _send_part(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
