"""Metrics of the storage and of the work queues."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from cwt_ingest.storage_monitor import measure_storage
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_schemas import storage, subjects

pytestmark = pytest.mark.anyio


async def test_problems_and_waiting_messages_are_counted(bus: Bus) -> None:
    for number in range(3):
        await bus.log.store(subjects.window("s", "a"), b"x", msg_id=str(number))
    await measure_storage(bus.log)
    assert REGISTRY.get_sample_value("cwt_storage_problems") == 0
    assert waiting(storage.WINDOWS) == 3
    assert waiting(storage.TASKS) == 0
    with pytest.raises(BusError):  # noqa: PT012 - as many as there is room for
        for number in range(100):
            await bus.log.store(subjects.task("j"), bytes(1024), msg_id=str(number))
    await measure_storage(bus.log)
    assert REGISTRY.get_sample_value("cwt_storage_problems") == 1
    assert (waiting(storage.TASKS) or 0) > 50


def waiting(queue: str) -> float | None:
    return REGISTRY.get_sample_value("cwt_queue_messages", {"queue": queue})
