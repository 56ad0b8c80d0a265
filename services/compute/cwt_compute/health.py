"""Health of the system, as reported by a worker."""

from __future__ import annotations

import anyio

from cwt_runtime.bus import Bus, DurableLog
from cwt_runtime.bus.errors import BusError, NoRespondersError
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, content_type_of, decode
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import ACCEPT
from cwt_schemas.service import HealthReply

__all__ = ["system_problems", "windows_waiting"]

#: JetStream usually replies within a millisecond; a health request must not take long.
BACKLOG_TIMEOUT_S = 1.0
#: Longer than ingest waits for the storage.
INGEST_TIMEOUT_S = 3.0


async def system_problems(bus: Bus) -> tuple[str, ...]:
    """Return the problems of ingest, and those of the storage, which ingest checks."""
    try:
        reply = await bus.request(
            subjects.stream("health"),
            b"",
            {ACCEPT: ContentType.JSON.value},
            timeout_s=INGEST_TIMEOUT_S,
        )
        health = decode(
            HealthReply, reply.data, content_type_of(reply.headers), ignore_unknown=True
        )
    except NoRespondersError:
        return ("no ingest runs: streams are not analysed",)
    except (BusError, ContractError) as error:
        return (f"ingest did not report its health: {error}",)
    return health.problems


async def windows_waiting(log: DurableLog) -> int | None:
    """Return the number of unacknowledged windows, or None if JetStream does not respond."""
    try:
        with anyio.move_on_after(BACKLOG_TIMEOUT_S):
            backlog = await log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
            return backlog.waiting + backlog.in_flight
    except BusError:
        pass  # reported as None
    return None
