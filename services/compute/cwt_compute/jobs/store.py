"""Storage of jobs: records in a bucket, outcomes in a log, tasks and large results as objects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
from pydantic import ValidationError

from cwt_compute.jobs.model import Outcome, Tally
from cwt_compute.work_queue import store_dead_letter, terminate
from cwt_runtime.bus import Bucket, Delivery, DurableLog, StoredMessage
from cwt_runtime.bus.errors import BusTimeoutError, RevisionConflictError
from cwt_runtime.storage.publish import publish_with_retry, store_with_retry
from cwt_runtime.telemetry.logs import Log
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError, NotFound
from cwt_schemas.headers import CONTENT_TYPE, TASK_ERROR, TASK_OBJECT, TASK_STATUS
from cwt_schemas.job import JobRecord, JobWork
from cwt_schemas.message import StoredObject

__all__ = ["JobStore", "ObjectChangedError", "headers_of", "record_of"]

PACKED = ContentType.MSGPACK
#: Time limit for reading outcomes; the headers of the largest job take a fraction of this.
READ_TIMEOUT_S = 30.0
#: Number of running jobs whose outcomes are cached, so that only new ones are read.
SEEN_JOBS = 16
#: Maximum length of an error in a header, characters; the body contains the full text.
HEADER_TEXT = 256


class ObjectChangedError(Exception):
    """The object was replaced since it was stored, or differs from the named one."""


class JobStore:
    """Access to the jobs on the server; its memory is only a cache."""

    def __init__(self, bus_log: DurableLog, bucket: Bucket, log: Log) -> None:
        self._bus_log = bus_log
        self._bucket = bucket
        self._log = log
        self._seen: dict[str, dict[str, Outcome]] = {}

    @classmethod
    async def open(cls, bus_log: DurableLog, log: Log) -> JobStore:
        """Return the store of a bus whose topology is declared."""
        return cls(bus_log, await bus_log.bucket(storage.KV_JOBS), log)

    @property
    def bucket(self) -> Bucket:
        """The bucket of records, by job id."""
        return self._bucket

    async def record(self, job_id: str) -> JobRecord | None:
        """Return the record of a job, or None if it does not exist or has expired."""
        entry = await self._bucket.get(job_id)
        return record_of(entry.value) if entry else None

    async def records(self) -> list[JobRecord]:
        """Return all records, except those that another version wrote and this one cannot read."""
        records = list[JobRecord]()
        for key in await self._bucket.keys():
            with suppress(ContractError):
                record = await self.record(key)
                records += [record] if record is not None else []
        return records

    async def create(self, record: JobRecord) -> JobRecord:
        """Store a new record; if one with that id exists, return that one."""
        try:
            await self._bucket.replace(record.job_id, encode(record, PACKED), 0)
        except RevisionConflictError:
            return await self.existing(record.job_id)
        return record

    async def existing(self, job_id: str) -> JobRecord:
        """Return the record of a job.

        Raises
        ------
        NotFound
            The job does not exist or has expired.
        """
        record = await self.record(job_id)
        if record is None:
            raise _unknown(job_id)
        return record

    async def change(self, job_id: str, change: Callable[[JobRecord], JobRecord]) -> JobRecord:
        """Replace a record with the result of `change`, and repeat after concurrent changes.

        Raises
        ------
        NotFound
            The job does not exist or has expired.
        """
        while True:
            entry = await self._bucket.get(job_id)
            if entry is None:
                raise _unknown(job_id)
            before = record_of(entry.value)
            after = change(before)
            if after == before:
                return before
            try:
                await self._bucket.replace(job_id, encode(after, PACKED), entry.revision)
            except RevisionConflictError:
                continue
            return after

    async def tally(self, record: JobRecord) -> Tally:
        """Return all outcomes of a job so far; for a running job, read only new ones."""
        pattern = subjects.job_results_of(record.job_id)
        if record.attempt > 1 or record.summary is not None:
            # Outcomes may have been replaced or have expired.
            self._seen.pop(record.job_id, None)
            return Tally(await self._outcomes(pattern, {}))
        known = await self._outcomes(pattern, self._seen.pop(record.job_id, {}))
        self._seen[record.job_id] = known
        while len(self._seen) > SEEN_JOBS:
            del self._seen[next(iter(self._seen))]
        return Tally(known)

    async def outcome(self, job_id: str, task_id: str) -> Outcome | None:
        """Return the outcome of a task, or None."""
        return (await self._outcomes(subjects.job_result(job_id, task_id), {})).get(task_id)

    async def _outcomes(self, pattern: str, known: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """Return the outcomes on `pattern`, reading only those not in `known`."""
        counts = await self._bus_log.subject_counts(storage.JOB_RESULTS, pattern)
        stored_tasks = {subjects.task_of_job_result(each).task for each in counts}
        outcomes = {task: outcome for task, outcome in known.items() if task in stored_tasks}
        if len(outcomes) == len(stored_tasks):
            return outcomes
        start = max((outcome.seq for outcome in known.values()), default=0) + 1
        with anyio.move_on_after(READ_TIMEOUT_S):
            async with self._bus_log.read(
                storage.JOB_RESULTS, (pattern,), start_seq=start, headers_only=True
            ) as messages:
                async for stored in messages:
                    task_id, outcome = entry_of(stored)
                    outcomes[task_id] = outcome
            return outcomes
        raise BusTimeoutError(
            f"cannot read the outcomes on {pattern}: not complete after {READ_TIMEOUT_S:g} s"
        )

    async def store_outcome(
        self,
        job_id: str,
        task_id: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        msg_id: str,
        replaces: int,
    ) -> None:
        """Store an outcome unless the task has one with a sequence other than `replaces`.

        Retry until the server has room and has acknowledged it.
        """
        try:
            await publish_with_retry(
                self._bus_log,
                subjects.job_result(job_id, task_id),
                body,
                msg_id=msg_id,
                headers=headers,
                log=self._log,
                expect_seq=replaces,
            )
        except RevisionConflictError:
            return  # stored by another worker, or by an unacknowledged try

    async def enqueue(self, work: JobWork, *, msg_id: str, patient: bool = True) -> None:
        """Enqueue a message; if `patient`, retry while the queue is full."""
        subject, body, headers = subjects.task(work.job_id), encode(work, PACKED), _HEADERS
        if patient:
            await publish_with_retry(
                self._bus_log, subject, body, msg_id=msg_id, headers=headers, log=self._log
            )
        else:
            await self._bus_log.store(subject, body, msg_id=msg_id, headers=headers)

    async def in_flight(self) -> int:
        """Return the number of messages that workers are processing."""
        return (await self._bus_log.backlog(storage.TASKS, storage.COMPUTE_TASKS)).in_flight

    async def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Store the dead letter of a message, then remove the message from the queue."""
        await store_dead_letter(self._bus_log, delivery, reason, queue=storage.TASKS, log=self._log)
        await terminate(delivery, reason)

    async def put_object(self, name: str, data: bytes) -> StoredObject:
        """Store an object, without retries."""
        return await (await self._bus_log.objects(storage.OBJECTS)).put(name, data)

    async def put_object_with_retry(self, name: str, data: bytes) -> StoredObject:
        """Store an object; retry while the bucket is full."""
        return await store_with_retry(partial(self.put_object, name, data), log=self._log, id=name)

    async def get_object(self, where: StoredObject) -> bytes | None:
        """Return an object of the jobs' bucket, or None if it does not exist or has expired.

        Raises
        ------
        ObjectChangedError
            The object exists, and its content differs from the stored one.
        """
        body = await (await self._bus_log.objects(storage.OBJECTS)).get(where.name)
        if body is None:
            return None
        digest = await anyio.to_thread.run_sync(hashlib.sha256, body)
        if digest.hexdigest() != where.sha256:
            raise ObjectChangedError(f"the object {where.name} was replaced: its SHA-256 differs")
        return body


_HEADERS = {CONTENT_TYPE: PACKED.value}


def headers_of(
    status: str,
    encoding: ContentType,
    *,
    error: str | None = None,
    where: StoredObject | None = None,
) -> dict[str, str]:
    """Return the headers of an outcome."""
    headers = {CONTENT_TYPE: encoding.value, TASK_STATUS: status}
    if error is not None:
        line = re.sub(r"[^\x20-\x7e]+", " ", error)[:HEADER_TEXT].strip()
        headers[TASK_ERROR] = line or "no reason was given"
    if where is not None:
        headers[TASK_OBJECT] = encode(where, ContentType.JSON).decode()
    return headers


def entry_of(stored: StoredMessage) -> tuple[str, Outcome]:
    """Return the task id and the outcome in the headers of a message."""
    headers = stored.message.headers
    return subjects.task_of_job_result(stored.message.subject).task, Outcome(
        status="done" if headers.get(TASK_STATUS) == "done" else "failed",
        seq=stored.seq,
        stored_ns=stored.stored_ns,
        object=_object_of(headers.get(TASK_OBJECT)),
        error=headers.get(TASK_ERROR),
    )


def record_of(value: bytes) -> JobRecord:
    """Decode the record in a value of the bucket."""
    return decode(JobRecord, value, PACKED)


def _unknown(job_id: str) -> NotFound:
    return NotFound(
        f"job {job_id} does not exist; jobs and results are removed CWT_JOBS_MAX_AGE_S after they "
        "end"
    )


def _object_of(text: str | None) -> StoredObject | None:
    if text is None:
        return None
    try:
        return decode(StoredObject, text.encode())
    except (ContractError, ValidationError):
        return None
