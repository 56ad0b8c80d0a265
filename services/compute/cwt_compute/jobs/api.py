"""The endpoints of ``cwt.job.*``: submit, get, list, cancel and retry jobs.

Submitting a job stores its tasks, then enqueues one small message, then writes the record. Each
step may be repeated, and the worker that receives the message writes the record if it is missing.
So a worker that dies in between leaves either nothing or a job that runs.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio.to_thread

from cwt_compute.jobs import model
from cwt_compute.jobs.model import expansion_id, record_for
from cwt_compute.jobs.quota import JobQuota
from cwt_compute.jobs.store import JobStore, ObjectChangedError
from cwt_compute.jobs.tasks import check_tasks, digest_of, job_id_of, tasks_name
from cwt_compute.jobs.worker import JobWorker
from cwt_compute.processes import ProcessPool
from cwt_compute.queries.cost import reply_bytes
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, StorageFullError
from cwt_runtime.rpc.audit import AuditLog
from cwt_runtime.rpc.context import request_context
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage, subjects
from cwt_schemas.audit import AuditAction
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.endpoints import JOB_ENDPOINTS
from cwt_schemas.errors import Conflict, Unavailable, Unprocessable
from cwt_schemas.job import (
    Expansion,
    JobCancel,
    JobGet,
    JobList,
    JobListing,
    JobRecord,
    JobRetry,
    JobState,
    JobSubmit,
    JobSubmitted,
    JobTasks,
    JobWork,
)
from cwt_schemas.limits import MAX_JOB_BYTES
from cwt_schemas.message import Message, StoredObject
from cwt_schemas.subjects import JobVerb

__all__ = ["JobApi", "Jobs", "open_jobs"]

Request = TypeVar("Request", bound=Message)
PACKED = ContentType.MSGPACK
#: Maximum number of submissions checked concurrently; each may have several hundred MiB.
SUBMISSIONS = 2


class JobApi:
    """Serve the requests of clients about jobs.

    Parameters
    ----------
    announce
        Called with the id of a job whose state has changed.
    records
        The newest known records, by job id.
    quota
        Limits on the jobs of one user.
    max_message_bytes
        Maximum size of a message on this bus, bytes.
    """

    def __init__(
        self,
        store: JobStore,
        log: Log,
        announce: Callable[[str], None],
        audit: AuditLog,
        *,
        records: dict[str, JobRecord],
        quota: JobQuota,
        max_message_bytes: int,
    ) -> None:
        self._store = store
        self._max_message_bytes = max_message_bytes
        self._log = log
        self._announce = announce
        self._audit = audit
        self._records = records
        self._quota = quota

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of ``cwt.job.*``."""
        return [
            _endpoint("submit", self.submit, off_loop=True, concurrency=SUBMISSIONS),
            _endpoint("get", self.get),
            _endpoint("list", self.list),
            _endpoint("cancel", self.cancel),
            _endpoint("retry", self.retry),
        ]

    async def submit(self, request: JobSubmit) -> JobSubmitted:
        """Check and store a job, and enqueue it."""
        tasks, body = await self._tasks_of(request)
        await anyio.to_thread.run_sync(check_tasks, tasks.tasks, self._max_message_bytes)
        digest = await anyio.to_thread.run_sync(digest_of, request.name, request.encoding, body)
        job_id = job_id_of(request, digest)
        record = await self._store.record(job_id)
        if record is None:
            user, now_ns = request_context().caller.user, time.time_ns()
            results_bytes = sum(map(reply_bytes, tasks.tasks)) if user else 0
            size = len(body) + results_bytes
            self._quota.check(self._records.values(), user, size, now_ns)
            where = request.tasks_object or await self._store.put_object(
                tasks_name(job_id, digest), body
            )
            expansion = Expansion(
                name=request.name,
                digest=digest,
                tasks_count=len(tasks.tasks),
                tasks=where,
                created_ns=now_ns,
                encoding=request.encoding,
                submitted_by=user,
                results_bytes=results_bytes,
            )
            record = await self._begin(job_id, expansion)
            self._records.setdefault(job_id, record)
        if record.digest != digest:
            raise Conflict(
                f"job_id: the job {job_id} exists with different tasks or a different name",
                {"job_id": job_id},
            )
        state = await self._state(record, results=False)
        return JobSubmitted(job_id=job_id, status=state.status, tasks_count=record.tasks_count)

    async def _begin(self, job_id: str, expansion: Expansion) -> JobRecord:
        work = JobWork(job_id=job_id, attempt=1, work=expansion)
        # The id contains the digest. If two jobs have the same job id, the record decides later.
        msg_id = f"{expansion_id(job_id, 1)}/{expansion.digest}"
        await self._audit.record(AuditAction.JOB_SUBMITTED, "job", job_id)
        await self._store.enqueue(work, msg_id=msg_id, patient=False)
        user = expansion.submitted_by
        self._log.info(Action.JOB_SUBMITTED, job=job_id, tasks=expansion.tasks_count, user=user)
        return await self._store.create(record_for(job_id, expansion))

    async def _tasks_of(self, request: JobSubmit) -> tuple[JobTasks, bytes]:
        """Return the tasks and their msgpack encoding, from the request or the object store."""
        where = request.tasks_object
        if where is None:
            tasks = JobTasks(tasks=request.tasks)
            encoded = partial(encode, tasks, PACKED, max_bytes=None)
            return tasks, await anyio.to_thread.run_sync(encoded)
        body = await self._object(where)
        decoded = partial(decode, JobTasks, body, PACKED, max_bytes=None)
        return await anyio.to_thread.run_sync(decoded), body

    async def _object(self, where: StoredObject) -> bytes:
        if where.bucket != storage.OBJECTS:
            raise Unprocessable.of({"tasks_object.bucket": f"must be {storage.OBJECTS}"})
        if where.size > MAX_JOB_BYTES:
            problem = (
                f"{where.size} bytes, at most {MAX_JOB_BYTES} are allowed: submit several jobs"
            )
            raise Unprocessable.of({"tasks_object.size": problem})
        try:
            body = await self._store.get_object(where)
        except ObjectChangedError as error:
            raise Unprocessable.of({"tasks_object.sha256": str(error)}) from error
        if body is None or len(body) != where.size:
            problem = "the bucket has no such object of that size: upload it first"
            raise Unprocessable.of({"tasks_object.name": problem})
        return body

    async def get(self, request: JobGet) -> JobState:
        """Return the state of a job."""
        record = await self._store.existing(request.job_id)
        return await self._state(record, results=request.results)

    async def list(self, request: JobList) -> JobListing:
        """Return the newest jobs."""
        records = sorted(await self._store.records(), key=lambda each: -each.created_ns)
        states: list[JobState] = []
        for record in records:
            state = await self._state(record, results=False)
            if request.status in {None, state.status}:
                states.append(state)
            if len(states) == request.limit:
                break
        return JobListing(jobs=tuple(states))

    async def cancel(self, request: JobCancel) -> JobState:
        """Cancel a job; its workers notice the change of the record."""
        before = await self._store.existing(request.job_id)
        user = _check_owner(before)
        tally = await self._store.tally(before)
        if model.cancelled(before, tally, time.time_ns()) != before:
            await self._audit.record(AuditAction.JOB_CANCELLED, "job", request.job_id)
        record = await self._store.change(
            request.job_id, lambda before: model.cancelled(before, tally, time.time_ns())
        )
        self._records[request.job_id] = record
        self._log.info(Action.JOB_CANCELLED, job=request.job_id, user=user)
        self._announce(request.job_id)
        return model.state(record, tally, results=False)

    async def retry(self, request: JobRetry) -> JobState:
        """Start another attempt at the tasks without a result."""
        job_id = request.job_id
        before = await self._store.existing(job_id)
        user = _check_owner(before)
        tally = await self._store.tally(before)
        after = model.retried(before, tally)
        expansion = Expansion(
            name=after.name,
            digest=after.digest,
            tasks_count=after.tasks_count,
            tasks=after.tasks,
            created_ns=after.created_ns,
            encoding=after.encoding,
            submitted_by=after.submitted_by,
            results_bytes=after.results_bytes,
        )
        await self._audit.record(AuditAction.JOB_RETRIED, "job", job_id)
        work = JobWork(job_id=job_id, attempt=after.attempt, work=expansion)
        # Enqueue the message first: a worker that gets it waits for the change of the record.
        await self._store.enqueue(work, msg_id=expansion_id(job_id, after.attempt), patient=False)

        def retried(each: JobRecord) -> JobRecord:
            if each.attempt != before.attempt:  # the message is of a different attempt
                raise Conflict(f"job {job_id} was retried by another client")
            return model.retried(each, tally)

        record = await self._store.change(job_id, retried)
        self._log.info(Action.JOB_RETRIED, job=job_id, attempt=record.attempt, user=user)
        self._announce(job_id)
        return model.state(record, tally, results=False)

    async def _state(self, record: JobRecord, *, results: bool) -> JobState:
        """Return the state of a job, and record its end if that is not recorded yet."""
        if record.summary is not None and not results:
            return model.state(record, model.Tally(), results=False)
        tally = await self._store.tally(record)
        if model.finalized(record, tally) != record:
            record = await self._store.change(
                record.job_id, lambda each: model.finalized(each, tally)
            )
        return model.state(record, tally, results=results)


def _check_owner(record: JobRecord) -> str | None:
    """Check that the caller may change a job; return its user."""
    caller = request_context().caller
    caller.check_owner(record.submitted_by, f"job {record.job_id}")
    return caller.user


def _endpoint(
    verb: JobVerb,
    handle: Callable[[Request], Awaitable[Message]],
    *,
    off_loop: bool = False,
    concurrency: int = 4,
) -> Endpoint:
    async def answer(request: Request) -> Message:
        try:
            return await handle(request)
        except StorageFullError as error:
            raise Unavailable(
                "job storage is full: wait for jobs to expire, or raise the limits of the server "
                f"({error})"
            ) from error
        except BusError as error:
            raise Unavailable(f"job storage is not available at the moment ({error})") from error

    return Endpoint(
        contract=JOB_ENDPOINTS[subjects.job(verb)],
        handle=answer,
        off_loop=off_loop,
        concurrency=concurrency,
    )


@dataclass(frozen=True)
class Jobs:
    """The endpoints and the worker of jobs, for a service."""

    endpoints: list[Endpoint]
    worker: JobWorker


async def open_jobs(
    bus: Bus,
    pool: ProcessPool,
    *,
    name: str,
    max_tries: int,
    log: Log,
    quota: JobQuota | None = None,
) -> Jobs:
    """Return the endpoints and the worker of jobs for the service `name`."""
    store = await JobStore.open(bus.log, log)
    records: dict[str, JobRecord] = {}
    worker = JobWorker(bus, store, pool, name=name, max_tries=max_tries, records=records, log=log)
    api = JobApi(
        store,
        log,
        worker.announce,
        AuditLog(bus.log),
        records=records,
        quota=quota or JobQuota(),
        max_message_bytes=bus.max_message_bytes,
    )
    return Jobs(api.endpoints(), worker)
