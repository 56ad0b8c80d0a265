"""The audit log: which user changed what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, Strict

from cwt_schemas.message import Count, Id, Name, PersistedMessage, UserName
from cwt_schemas.subjects import AuditedKind

__all__ = ["AuditAction", "AuditRecord"]


class AuditAction(StrEnum):
    """What was done; of streams and jobs, as in the logs of the services."""

    STREAM_DEFINED = "stream_defined"
    STREAM_DELETED = "stream_deleted"
    STREAM_PURGED = "stream_purged"
    JOB_SUBMITTED = "job_submitted"
    JOB_CANCELLED = "job_cancelled"
    JOB_RETRIED = "job_retried"
    KEY_ADDED = "key_added"
    KEY_REVOKED = "key_revoked"


class AuditRecord(PersistedMessage):
    """One change, stored in ``CWT_AUDIT`` before it is made."""

    schema_id: Literal["audit.record/1"] = Field(default="audit.record/1", alias="schema")
    id: Id
    action: Annotated[AuditAction, Strict(False)]
    kind: AuditedKind
    #: Of the stream, job or key.
    name: Name
    #: Left out where it is not known, as on a bus without accounts.
    user: UserName = None
    #: Left out where it is that of the services.
    account: UserName = None
    t_ns: Count
