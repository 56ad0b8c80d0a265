"""Outcomes of tasks as messages: headers that tell how it went, and a body with the result."""

from __future__ import annotations

import re

from pydantic import ValidationError

from schemas import subjects
from schemas.codec import ContentType, decode, encode
from schemas.errors import ContractError, Problem
from schemas.headers import CONTENT_TYPE, TASK_ERROR, TASK_OBJECT, TASK_STATUS
from schemas.job import JobOutcome
from schemas.stored import StoredObject
from schemas.work import QueuedTask
from services.compute.calculator.answers import engine_of
from services.compute.jobs.model import Outcome
from services.runtime.bus import StoredMessage

__all__ = ["entry_of", "failure", "headers_of", "moved", "outcome_id"]

#: Characters of the reason in a header; the whole is in the body.
HEADER_TEXT = 256


def outcome_id(job_id: str, task_id: str, attempt: int) -> str:
    """Return the message id of an outcome: one for each try that a client asked for."""
    return f"{job_id}/{task_id}/{attempt}"


def headers_of(
    status: str,
    encoding: ContentType,
    *,
    error: str | None = None,
    where: StoredObject | None = None,
) -> dict[str, str]:
    """Return the headers of an outcome."""
    found = {CONTENT_TYPE: encoding.value, TASK_STATUS: status}
    if error is not None:
        line = re.sub(r"[^\x20-\x7e]+", " ", error)[:HEADER_TEXT].strip()
        found[TASK_ERROR] = line or "no reason was given"
    if where is not None:
        found[TASK_OBJECT] = encode(where, ContentType.JSON).decode()
    return found


def entry_of(stored: StoredMessage) -> tuple[str, Outcome]:
    """Return the id of the task, and what the headers of its outcome tell."""
    headers = stored.message.headers
    return subjects.task_of_job_result(stored.message.subject).task, Outcome(
        status="done" if headers.get(TASK_STATUS) == "done" else "failed",
        seq=stored.seq,
        stored_ns=stored.stored_ns,
        object=_object_of(headers.get(TASK_OBJECT)),
        error=headers.get(TASK_ERROR),
    )


def failure(
    job_id: str,
    attempt: int,
    task: QueuedTask,
    error: ContractError,
    *,
    worker: str,
    started_ns: int,
    now_ns: int,
) -> JobOutcome:
    """Return the outcome of a task that failed."""
    return JobOutcome(
        job_id=job_id,
        task_id=task.task_id,
        type=task.request.type,
        status="failed",
        attempt=attempt,
        error=Problem(code=error.code, message=error.message, detail=error.detail),
        engine=engine_of(worker),
        started_ns=started_ns,
        finished_ns=now_ns,
    )


def moved(
    job_id: str,
    attempt: int,
    task: QueuedTask,
    where: StoredObject,
    *,
    worker: str,
    started_ns: int,
    now_ns: int,
) -> JobOutcome:
    """Return the outcome of a task whose result is in the object store."""
    return JobOutcome(
        job_id=job_id,
        task_id=task.task_id,
        type=task.request.type,
        status="done",
        attempt=attempt,
        object=where,
        engine=engine_of(worker),
        started_ns=started_ns,
        finished_ns=now_ns,
    )


def _object_of(text: str | None) -> StoredObject | None:
    if text is None:
        return None
    try:
        return decode(StoredObject, text.encode())
    except (ContractError, ValidationError):
        return None
