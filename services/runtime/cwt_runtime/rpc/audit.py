"""Write the audit log: changes by clients are recorded before they are made."""

from __future__ import annotations

import secrets
import time

from cwt_runtime.bus import DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.caller import Caller
from cwt_runtime.rpc.context import request_context
from cwt_schemas import subjects
from cwt_schemas.audit import AuditAction, AuditRecord
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Unavailable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.subjects import AuditedKind

__all__ = ["AuditLog"]


class AuditLog:
    """Record changes in ``CWT_AUDIT``, with the user that sent the current request."""

    def __init__(self, bus_log: DurableLog) -> None:
        self._bus_log = bus_log

    async def record(
        self, action: AuditAction, kind: AuditedKind, name: str, *, caller: Caller | None = None
    ) -> None:
        """Record a change that is about to be made.

        Parameters
        ----------
        caller
            Who makes the change; None: the sender of the current request.

        Raises
        ------
        Unavailable
            The record could not be stored; the change must not be made.
        """
        caller = caller or request_context().caller
        record = AuditRecord(
            id=secrets.token_hex(16),
            action=action,
            kind=kind,
            name=name,
            user=caller.user,
            account=caller.account,
            t_ns=time.time_ns(),
        )
        try:
            await self._bus_log.store(
                subjects.audit(kind, name),
                encode(record, ContentType.JSON),
                msg_id=record.id,
                headers={CONTENT_TYPE: ContentType.JSON.value},
            )
        except BusError as error:
            raise Unavailable(
                f"cannot change {kind} {name}: the audit log is not available ({error}); try again"
            ) from error
