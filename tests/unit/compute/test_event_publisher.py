"""Events of windows, on their way to the log."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cwt_compute.live.event_publisher import EventPublisher
from cwt_runtime.bus.errors import NotStoredError
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.live import StreamEvent
from tests.memory_bus.log import MemoryLog

pytestmark = pytest.mark.anyio


class Refusing(MemoryLog):
    """Refuses what is stored, on request."""

    refuses = False

    async def store(self, subject: str, data: bytes, **rest: Any) -> Any:
        if self.refuses:
            raise NotStoredError("permissions violation")
        return await super().store(subject, data, **rest)


async def test_a_sum_that_the_server_refused_is_stored_later() -> None:
    log = Refusing()
    await log.declare(system_topology(StorageSettings()))
    events = EventPublisher(log, name="worker", log=logger("test"))
    for number in range(100):
        now = time.time_ns()
        event = StreamEvent(id=f"{number}", stream="s", kind="dropped", detail="late", t_ns=now)
        await events.publish(event)
    log.refuses = True
    await events.flush()
    log.refuses = False
    await events.flush()
    async with log.read(storage.RESULTS, (subjects.event("s"),)) as messages:
        bodies = [stored.message.data async for stored in messages]
    stored = [decode(StreamEvent, body, ContentType.MSGPACK) for body in bodies]
    assert sum(event.count for event in stored) == 100 > len(stored)
