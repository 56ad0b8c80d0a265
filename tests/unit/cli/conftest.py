"""A bus in memory with the system's streams."""

from __future__ import annotations

import pytest

from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from tests.memory_bus import MemoryBus


@pytest.fixture
async def bus() -> MemoryBus:
    memory = MemoryBus()
    await memory.log.declare(system_topology(StorageSettings()))
    return memory
