"""Giving a message of the task queue up for good."""

from __future__ import annotations

import time

from schemas import storage, subjects
from services.compute.dead_letters import dead_letter
from services.compute.jobs.store import JobStore
from services.runtime.bus import Delivery

__all__ = ["bury"]

#: What the server shows of the reason.
MAX_REASON = 200


async def bury(store: JobStore, delivery: Delivery, reason: str) -> None:
    """Leave a dead letter, then take the message off the queue."""
    stored = delivery.stored
    letter = dead_letter(stored, reason, deliveries=delivery.deliveries, now_ns=time.time_ns())
    await store.bury(subjects.dead(letter.where), letter, msg_id=f"{storage.TASKS}/{stored.seq}")
    await delivery.term(" ".join(reason.split())[:MAX_REASON])
