"""What declaring does to a server's streams, and what it leaves to their operator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import nats
import pytest
from nats.js import JetStreamContext

from cwt_runtime.bus import Topology
from cwt_runtime.bus.errors import NotStoredError
from cwt_runtime.bus.nats import NatsBus, connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from tests.contract.conftest import SMALL_STREAM_BYTES, small_topology
from tests.deadlines import fail_after
from tests.servers import processed

pytestmark = pytest.mark.anyio

SMALL = small_topology()
CHANGED = Topology(
    streams=tuple(
        replace(
            spec,
            subjects=(*spec.subjects, f"more.{spec.name}"),
            max_bytes=2 * SMALL_STREAM_BYTES,
            max_age_s=3600.0,
            duplicate_window_s=60.0,
        )
        for spec in SMALL.streams
    ),
    consumers=tuple(replace(spec, ack_wait_s=5.0, max_ack_pending=7) for spec in SMALL.consumers),
    buckets=SMALL.buckets,
)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[NatsBus]:
    async with connect_bus(nats_url, name="test", log=logger("test")) as connected:
        await connected.log.declare(SMALL)
        yield connected


@pytest.fixture
async def operator(nats_url: str) -> AsyncIterator[JetStreamContext]:
    """Somebody with the server's own tools."""
    async with await nats.connect(nats_url) as client:
        yield client.jetstream()


async def test_declaring_again_leaves_what_the_operator_set(
    bus: NatsBus, operator: JetStreamContext
) -> None:
    config = (await operator.stream_info(storage.SIGNALS)).config
    theirs = {"description": "mine", "max_msgs_per_subject": 1000, "metadata": {"owner": "me"}}
    await operator.update_stream(config.evolve(**theirs))
    consumer = (await operator.consumer_info(storage.WINDOWS, storage.COMPUTE_WINDOWS)).config
    await operator.add_consumer(storage.WINDOWS, consumer.evolve(description="mine"))

    await bus.log.declare(CHANGED, update=True)

    found = (await operator.stream_info(storage.SIGNALS)).config
    assert (found.description, found.max_msgs_per_subject) == ("mine", 1000)
    assert found.metadata is not None
    assert found.metadata["owner"] == "me"
    wanted = CHANGED.streams[0]
    assert (found.max_bytes, found.max_age, found.duplicate_window, found.subjects) == (
        wanted.max_bytes,
        wanted.max_age_s,
        wanted.duplicate_window_s,
        list(wanted.subjects),
    )
    consumer = (await operator.consumer_info(storage.WINDOWS, storage.COMPUTE_WINDOWS)).config
    assert (consumer.description, consumer.ack_wait, consumer.max_ack_pending) == ("mine", 5.0, 7)


async def test_a_result_log_of_a_version_without_markers_takes_them(nats_url: str) -> None:
    topology = system_topology(StorageSettings())
    before = tuple(
        replace(spec, subjects=tuple(each for each in spec.subjects if each != subjects.MARKERS))
        for spec in topology.streams
    )
    async with connect_bus(nats_url, name="test", log=logger("test")) as bus:
        await bus.log.declare(replace(topology, streams=before))
        await bus.log.store(subjects.event("s"), b"event", msg_id="1")
        await bus.log.declare(topology, update=True)
        ack = await bus.log.store(subjects.marker("s"), b"marker", msg_id="2")
    assert (ack.stream, ack.seq) == (storage.RESULTS, 2)


async def test_declaring_without_update_changes_nothing(
    bus: NatsBus, operator: JetStreamContext
) -> None:
    before = (await operator.stream_info(storage.SIGNALS)).config
    await bus.log.declare(CHANGED)
    assert (await operator.stream_info(storage.SIGNALS)).config == before
    consumer = (await operator.consumer_info(storage.WINDOWS, storage.COMPUTE_WINDOWS)).config
    assert consumer.ack_wait == SMALL.consumers[0].ack_wait_s


async def test_stream_is_created_with_replicas(bus: NatsBus) -> None:
    stream = replace(SMALL.streams[0], name="OTHER", subjects=("other",), replicas=3)
    with pytest.raises(NotStoredError, match="replicas"):
        await bus.log.declare(Topology(streams=(stream,), consumers=(), buckets=()))


async def test_bucket_is_created_with_replicas(bus: NatsBus) -> None:
    bucket = replace(SMALL.buckets[0], name="other", replicas=3)
    with pytest.raises(NotStoredError, match="replicas"):
        await bus.log.declare(Topology(streams=(), consumers=(), buckets=(bucket,)))


async def test_a_read_leaves_no_consumer_behind(bus: NatsBus, nats_url: str) -> None:
    subject = subjects.signal("s")
    for number in range(3):
        await bus.log.store(subject, b"x", msg_id=str(number))
    async with await nats.connect(nats_url) as client:
        deleted = f"$JS.EVENT.ADVISORY.CONSUMER.DELETED.{storage.SIGNALS}.*"
        advisories = await client.subscribe(deleted)
        await processed(client)
        for _ in range(5):
            async with bus.log.read(storage.SIGNALS, (subject,)) as messages:
                assert len([each async for each in messages]) == 3
            async with bus.log.replay(storage.SIGNALS, (subject,), start_seq=1) as messages:
                await anext(messages)
        with fail_after(10):
            for _ in range(10):
                await advisories.next_msg(timeout=None)
        left = await client.jetstream().stream_info(storage.SIGNALS)
    assert left.state.consumer_count == 0
