"""The two buses that promise the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cwt_runtime.bus import (
    ACK_WAIT_S,
    BucketSpec,
    Bus,
    ConsumerSpec,
    ObjectsSpec,
    StreamSpec,
    Topology,
)
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from tests.memory_bus import MemoryBus
from tests.servers import SharedServer

#: Small enough to be filled in a test.
SMALL_STREAM_BYTES = 64 * 1024
SMALL_OBJECTS_BYTES = 3 * 1024 * 1024


def small_topology(*, ack_wait_s: float = ACK_WAIT_S) -> Topology:
    """Return the system's streams with little room; `ack_wait_s` as a busy machine needs it."""
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
            ConsumerSpec(stream=spec.stream, name=spec.name, ack_wait_s=ack_wait_s)
            for spec in system.consumers
        ),
        buckets=tuple(BucketSpec(name=spec.name) for spec in system.buckets),
        objects=tuple(
            ObjectsSpec(name=spec.name, when_full=spec.when_full, max_bytes=SMALL_OBJECTS_BYTES)
            for spec in system.objects
        ),
    )


@asynccontextmanager
async def declared_bus(kind: str, server: SharedServer, topology: Topology) -> AsyncIterator[Bus]:
    """Open a bus of one of the two kinds with the streams of `topology`."""
    if kind == "memory":
        memory = MemoryBus()
        await memory.log.declare(topology)
        yield memory
        return
    async with (
        server.account() as url,
        connect_bus(url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(topology)
        yield bus


@pytest.fixture(params=["memory", "nats"])
async def bus(request: pytest.FixtureRequest, nats_shared: SharedServer) -> AsyncIterator[Bus]:
    """A bus with the small topology, inside the process and over a real server."""
    async with declared_bus(request.param, nats_shared, small_topology()) as bus:
        yield bus


@pytest.fixture(params=["memory", "nats"])
async def system_bus(
    request: pytest.FixtureRequest, nats_shared: SharedServer
) -> AsyncIterator[Bus]:
    """A bus with the system's own streams, inside the process and over a real server."""
    async with declared_bus(request.param, nats_shared, system_topology(StorageSettings())) as bus:
        yield bus
