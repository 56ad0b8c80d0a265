"""Markers are stored once, at the place that was meant, and hold up no samples."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from cwt_runtime.bus import StoreAck
from cwt_runtime.bus.errors import BusError, NotStoredError
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import NotFound, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.marker import Marker
from cwt_schemas.message import Message
from cwt_schemas.stream import Channel, StreamDefinition, StreamGet, StreamStatus
from pycwt_client import Client
from pycwt_client.publisher import Publisher, open_publisher
from pycwt_client.sending import Sending
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog
from tests.unit.client.conftest import serving

pytestmark = pytest.mark.anyio

DEFINITION = StreamDefinition(name="s", fs_hz=100.0, channels=(Channel(name="x"),))
RUNNING = StreamStatus(definition=DEFINITION, epoch="e", next_sample=700)
JSON = {CONTENT_TYPE: ContentType.JSON.value}
ONE_TRY = RetryPolicy(first_delay_s=0.0, max_tries=1)


class SlowMarkers(MemoryLog):
    """Stores markers after `let`, or refuses them; `at_once` is how many waited together."""

    def __init__(self, refusal: BusError | None = None) -> None:
        super().__init__()
        self.let = anyio.Event()
        self.refusal = refusal
        self.waiting = self.at_once = 0

    async def store(self, subject: str, *given: Any, **options: Any) -> StoreAck:
        if subject.startswith("cwt.marker."):
            if self.refusal is not None:
                raise self.refusal
            self.waiting += 1
            self.at_once = max(self.at_once, self.waiting)
            await self.let.wait()
            self.waiting -= 1
        return await super().store(subject, *given, **options)


@pytest.fixture
async def client(bus: MemoryBus) -> AsyncIterator[Client]:
    """A client of a system with the stream s, of which 700 samples have come."""

    def answer(request: Message) -> StreamStatus:
        assert isinstance(request, StreamGet)
        match request.name:
            case "s":
                return RUNNING
            case "new":
                return StreamStatus(definition=DEFINITION.model_copy(update={"name": "new"}))
        raise NotFound(f"stream {request.name} does not exist")

    async with serving(bus, subjects.stream("get"), StreamGet, answer):
        yield Client(bus)


async def stored(bus: MemoryBus) -> int:
    return (await bus.log.subject_counts(storage.RESULTS, subjects.MARKERS)).get("cwt.marker.s", 0)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, ("e", 700, None)),
        ({"first_sample": 12}, ("e", 12, None)),
        ({"first_sample": 12, "epoch": "before"}, ("before", 12, None)),
        ({"t_ns": 5}, (None, None, 5)),
        ({"t_ns": 5, "epoch": "e"}, ("e", None, 5)),
    ],
)
async def test_a_marker_is_where_it_was_set_or_at_the_next_sample(
    client: Client, given: dict[str, Any], place: tuple[object, ...]
) -> None:
    made = await client.mark("s", "eyes closed", duration_s=2.5, channel="x", **given)
    async with client.markers("s") as markers:
        with fail_after(5):
            read = await anext(markers)
    assert read == made
    assert (read.epoch, read.first_sample, read.t_ns) == place
    assert (read.text, read.duration_s, read.channel) == ("eyes closed", 2.5, "x")


@pytest.mark.parametrize(
    ("stream", "given", "field"),
    [
        ("s", {"channel": "y"}, "channel"),
        ("s", {"epoch": "before"}, "first_sample"),
        ("s", {"first_sample": 1, "t_ns": 1}, "first_sample"),
        ("s", {"n_samples": -1}, "n_samples"),
        ("new", {}, "t_ns"),
    ],
)
async def test_a_marker_that_has_no_place_is_refused(
    client: Client, bus: MemoryBus, stream: str, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unprocessable) as refusal:
        await client.mark(stream, "on", **given)
    assert refusal.value.fields == (field,)
    with pytest.raises(NotFound):
        await client.mark("typo", "on", **given)
    assert await stored(bus) == 0


async def test_a_marker_that_is_stored_again_is_read_once(client: Client, bus: MemoryBus) -> None:
    first = await client.mark("s", "on", first_sample=1)
    await client.mark("s", "on", first_sample=1)
    assert await stored(bus) == 1
    # Long after the server has forgotten the id.
    body = encode(first, ContentType.JSON)
    await bus.log.store(subjects.marker("s"), body, msg_id="later", headers=JSON)
    last = await client.mark("s", "off", first_sample=2)
    async with client.markers() as markers:
        with fail_after(5):
            assert [await anext(markers), await anext(markers)] == [first, last]
    assert (markers.seq, markers.repeated) == (3, 1)


async def test_a_marker_that_names_another_stream_than_its_subject_is_skipped(
    client: Client, bus: MemoryBus
) -> None:
    """A user who may mark one stream could otherwise mark any."""
    forged = encode(Marker(stream="s", t_ns=1, text="forged"), ContentType.JSON)
    await bus.log.store(subjects.marker("t"), forged, msg_id="1", headers=JSON)
    made = await client.mark("s", "on")
    async with client.markers() as markers:
        with fail_after(5):
            assert await anext(markers) == made
    assert markers.skipped == 1


async def test_a_publisher_marks_its_next_sample_and_its_epoch(client: Client) -> None:
    async with client.publisher("s", "e") as publisher:
        await publisher.publish(np.zeros(50))
        await publisher.mark("on")
        await publisher.push(np.zeros(5))
        await publisher.mark("off", duration_s=1.0)
        await publisher.mark("before", first_sample=3)
        await publisher.restart("f")
        await publisher.mark("again")
    async with client.markers("s") as markers:
        with fail_after(5):
            found = [await anext(markers) for _ in range(4)]
    assert {(each.text, each.epoch, each.first_sample) for each in found} == {
        ("on", "e", 50),
        ("off", "e", 55),
        ("before", "e", 3),
        ("again", "f", 0),
    }


async def test_markers_hold_up_no_samples_and_few_are_on_their_way() -> None:
    log = SlowMarkers()
    await log.declare(system_topology(StorageSettings()))
    with fail_after(10):
        async with open_publisher(log, "s", "e", sending=Sending(in_flight=3)) as publisher:
            for number in range(200):
                await publisher.mark(f"beat {number}")
                await publisher.publish(np.zeros(5))
            await publisher.finish()
            assert publisher.kept == 200
            assert await log.subject_counts(storage.RESULTS, subjects.MARKERS) == {}
            log.let.set()
    assert log.at_once == 3
    assert await log.subject_counts(storage.RESULTS, subjects.MARKERS) == {"cwt.marker.s": 200}


async def mark_until_refused(publisher: Publisher) -> None:
    while True:
        await publisher.mark("off")
        await anyio.lowlevel.checkpoint()


async def test_a_marker_that_cannot_be_stored_is_reported_and_loses_no_sample() -> None:
    log = SlowMarkers(NotStoredError("no permission"))
    await log.declare(system_topology(StorageSettings()))
    kept: list[int] = []

    async def run() -> None:
        async with open_publisher(log, "s", "e", sending=Sending(retry=ONE_TRY)) as publisher:
            await publisher.mark("on")
            with fail_after(10), pytest.raises(NotStoredError, match="'on' of s: no permission"):
                await mark_until_refused(publisher)
            await publisher.publish(np.zeros(5))
            await publisher.finish()
            kept.append(publisher.kept)

    with pytest.raises(NotStoredError, match="'on' of s: no permission"):
        await run()
    assert kept == [1]
    assert await log.last_seq(storage.SIGNALS) == 2
