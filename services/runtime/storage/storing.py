"""Storing a message until the server says that it is kept."""

from __future__ import annotations

import random
from collections.abc import Mapping

import anyio

from services.runtime.bus import Log as BusLog
from services.runtime.bus import StoreAck
from services.runtime.bus.errors import BusError
from services.runtime.storage.retry import GiveUp, RetryPolicy, decide
from services.runtime.telemetry.logs import Action, Log

__all__ = ["UNTIL_KEPT", "store_until_kept"]

#: A server that is away, or a full stream, is waited for.
UNTIL_KEPT = RetryPolicy(first_delay_s=0.1, max_delay_s=5.0, max_tries=None)


async def store_until_kept(
    bus_log: BusLog,
    subject: str,
    data: bytes,
    *,
    msg_id: str,
    log: Log,
    headers: Mapping[str, str] | None = None,
    policy: RetryPolicy = UNTIL_KEPT,
    expect_seq: int | None = None,
) -> StoreAck:
    """Store, and try again under the same id as long as `policy` says so.

    Raises
    ------
    BusError
        The last failure, when it is permanent or the tries are used up.
    """
    tries = 0
    while True:
        try:
            return await bus_log.store(
                subject, data, msg_id=msg_id, headers=headers, expect_seq=expect_seq
            )
        except BusError as error:
            tries += 1
            # Jitter spreads retries; it has nothing to do with secrets.
            jitter = random.random()  # noqa: S311
            decision = decide(policy, tries=tries, transient=error.transient, jitter=jitter)
            if isinstance(decision, GiveUp):
                raise
            log.warning(
                Action.STORE_RETRIED, subject=subject, id=msg_id, tries=tries, detail=str(error)
            )
            await anyio.sleep(decision.delay_s)
