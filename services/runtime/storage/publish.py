"""Publish to a durable log, with retries until the server has acknowledged."""

from __future__ import annotations

import random
from collections.abc import Mapping

import anyio

from services.runtime.bus import DurableLog, StoreAck
from services.runtime.bus.errors import BusError
from services.runtime.storage.retry import GiveUp, RetryPolicy, decide
from services.runtime.telemetry.logs import Action, Log

__all__ = ["UNTIL_STORED", "publish_with_retry"]

#: Without a limit: wait for a server that is away, or a stream that is full.
UNTIL_STORED = RetryPolicy(first_delay_s=0.1, max_delay_s=5.0, max_tries=None)


async def publish_with_retry(
    bus_log: DurableLog,
    subject: str,
    data: bytes,
    *,
    msg_id: str,
    log: Log,
    headers: Mapping[str, str] | None = None,
    policy: RetryPolicy = UNTIL_STORED,
    expect_seq: int | None = None,
) -> StoreAck:
    """Store a message; retry under the same id as long as `policy` allows.

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
