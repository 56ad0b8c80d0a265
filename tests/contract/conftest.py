"""The two buses that promise the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime.bus import Bus
from services.runtime.embedded_server import start_server
from services.runtime.logs import logger
from services.runtime.memory_bus import MemoryBus
from services.runtime.nats_bus import connect_bus
from services.runtime.settings import StorageSettings
from services.runtime.topology import (
    BucketSpec,
    ConsumerSpec,
    ObjectsSpec,
    StreamSpec,
    Topology,
    system_topology,
)

#: Small enough to be filled in a test.
SMALL_STREAM_BYTES = 64 * 1024
SMALL_OBJECTS_BYTES = 3 * 1024 * 1024
#: Short enough to be waited for.
ACK_WAIT_S = 0.3


def small_topology() -> Topology:
    """The system's streams, small and impatient."""
    system = system_topology(StorageSettings())
    return Topology(
        streams=tuple(
            StreamSpec(
                name=spec.name,
                subjects=spec.subjects,
                retention=spec.retention,
                when_full=spec.when_full,
                max_bytes=SMALL_STREAM_BYTES,
                per_subject=spec.per_subject,
            )
            for spec in system.streams
        ),
        consumers=tuple(
            ConsumerSpec(stream=spec.stream, name=spec.name, ack_wait_s=ACK_WAIT_S)
            for spec in system.consumers
        ),
        buckets=tuple(BucketSpec(name=spec.name) for spec in system.buckets),
        objects=tuple(
            ObjectsSpec(name=spec.name, when_full=spec.when_full, max_bytes=SMALL_OBJECTS_BYTES)
            for spec in system.objects
        ),
    )


@pytest.fixture(params=["memory", "nats"])
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    """A bus with the small topology, inside the process and over a real server."""
    if request.param == "memory":
        memory = MemoryBus()
        await memory.log.declare(small_topology())
        yield memory
        return
    async with (
        start_server(tmp_path / "nats") as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(small_topology())
        yield bus


@pytest.fixture(params=["memory", "nats"])
async def system_bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    """A bus with the system's own streams."""
    topology = system_topology(StorageSettings())
    if request.param == "memory":
        memory = MemoryBus()
        await memory.log.declare(topology)
        yield memory
        return
    async with (
        start_server(tmp_path) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(topology)
        yield bus
