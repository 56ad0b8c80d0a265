"""The guard of the signal log, on both buses."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import pytest

from cwt_ingest.member import this_process
from cwt_ingest.membership import Membership
from cwt_ingest.ownership import checkpoint_key
from cwt_ingest.signal_log import MAX_REPORTED, NAMELESS, SignalLogGuard
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, StorageFullError
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.live import StreamEvent
from cwt_schemas.stream import Channel, StreamDefinition

pytestmark = pytest.mark.anyio

LOG = logger("test")
#: Of the log's 64 KiB, 14 chunks are less than a quarter, and 51 three quarters.
CHUNK = b"x" * 1024


class Ingest:
    """What ingest does about the log, without following streams."""

    def __init__(self, bus: Bus, guard: SignalLogGuard, names: set[str]) -> None:
        self.bus = bus
        self.guard = guard
        self.names = names
        self.stored = 0

    @classmethod
    async def open(cls, bus: Bus, *names: str, defined_only: bool = False) -> Ingest:
        definitions = await bus.log.bucket(storage.KV_STREAMS)
        checkpoints = await bus.log.bucket(storage.KV_CHECKPOINTS)
        known: set[str] = set()
        guard = SignalLogGuard(
            bus.log,
            Membership(checkpoints, this_process("me"), LOG),
            lambda: frozenset(known),
            definitions,
            checkpoints,
            LOG,
            share=0.25,
            defined_only=defined_only,
        )
        ingest = cls(bus, guard, known)
        for name in names:
            await ingest.define(name)
        return ingest

    async def define(self, name: str) -> None:
        definition = StreamDefinition(
            name=name, fs_hz=1.0, channels=(Channel(name="a"),), start_seq=1
        )
        bucket = await self.bus.log.bucket(storage.KV_STREAMS)
        await bucket.put(name, encode(definition, ContentType.JSON))
        self.names.add(name)
        await self.guard.accept(name)

    async def analysed(self, name: str, before_seq: int) -> None:
        """Note that the chunks of a stream before a sequence are not needed any more."""
        entry = await (await self.bus.log.bucket(storage.KV_STREAMS)).get(name)
        assert entry is not None
        checkpoint = StreamCheckpoint(
            stream=name,
            definition_revision=entry.revision,
            replay_from_seq=before_seq,
            last_seq=before_seq,
        )
        bucket = await self.bus.log.bucket(storage.KV_CHECKPOINTS)
        await bucket.put(checkpoint_key(name), encode(checkpoint, ContentType.JSON))

    async def publish(self, name: str, chunks: int = 1) -> None:
        for _ in range(chunks):
            self.stored += 1
            await self.bus.log.store(subjects.signal(name), CHUNK, msg_id=str(self.stored))

    async def fill(self, name: str) -> None:
        with pytest.raises(StorageFullError):
            await self.publish(name, 100)

    async def counts(self) -> Mapping[str, int]:
        counts = await self.bus.log.subject_counts(storage.SIGNALS, subjects.SIGNALS)
        return {subjects.stream_of_signal(subject): count for subject, count in counts.items()}

    async def events(self) -> list[StreamEvent]:
        async with self.bus.log.read(storage.RESULTS, (subjects.EVENTS,)) as messages:
            bodies = [each.message.data async for each in messages]
        return [decode(StreamEvent, each, ContentType.MSGPACK) for each in bodies]


async def test_a_stream_may_have_more_than_its_share_while_there_is_room(bus: Bus) -> None:
    ingest = await Ingest.open(bus, "large", "small")
    await ingest.publish("large", 35)
    await ingest.publish("undefined")
    await ingest.analysed("large", 30)
    await ingest.guard.check()
    assert await ingest.counts() == {"large": 35, "undefined": 1}
    assert await ingest.events() == []


async def test_stream_above_its_share_loses_analysed_chunks_and_continues(bus: Bus) -> None:
    ingest = await Ingest.open(bus, "large", "small")
    await ingest.publish("small", 5)
    await ingest.publish("large", 48)
    await ingest.analysed("large", 50)
    await ingest.guard.check()
    counts = await ingest.counts()
    assert counts["small"] == 5
    assert 10 <= counts["large"] <= 15  # nine tenths of its share
    await ingest.publish("large")
    assert await ingest.events() == []


async def test_a_stream_whose_chunks_wait_is_refused_until_they_are_analysed(bus: Bus) -> None:
    ingest = await Ingest.open(bus, "large", "small")
    await ingest.publish("large", 50)
    for _ in range(2):
        await ingest.guard.check()
    with pytest.raises(BusError):
        await ingest.publish("large")
    await ingest.publish("small", 2)
    assert await ingest.counts() == {"large": 50, "small": 2}
    (event,) = await ingest.events()
    assert (event.stream, event.kind) == ("large", "rejected")
    assert "in 50 chunks" in event.detail
    assert "its share is 0.0156 MiB (CWT_SIGNALS_SHARE)" in event.detail
    await ingest.analysed("large", 45)
    await ingest.guard.check()
    await ingest.publish("large")
    assert 7 <= (await ingest.counts())["large"] <= 15


async def test_a_log_that_was_filled_within_a_moment_has_room_again(bus: Bus) -> None:
    ingest = await Ingest.open(bus, "flood", "small")
    await ingest.publish("small", 3)
    await ingest.fill("flood")
    await ingest.guard.check()
    await ingest.publish("small", 10)
    counts = await ingest.counts()
    assert counts["small"] == 13
    assert 10 <= counts["flood"] <= 15
    (event,) = await ingest.events()
    assert (event.stream, event.kind) == ("flood", "rejected")
    assert "oldest chunks that were not analysed yet were removed" in event.detail


async def test_undefined_streams_do_not_fill_the_log(bus: Bus) -> None:
    ingest = await Ingest.open(bus, "small")
    await ingest.publish("small", 3)
    await ingest.publish("undefined", 48)
    await ingest.guard.check()
    assert await ingest.counts() == {"small": 3}
    with pytest.raises(BusError):
        await ingest.publish("undefined")
    (event,) = await ingest.events()
    assert (event.stream, event.kind) == ("undefined", "rejected")
    assert "48 chunks were removed; stream undefined is not defined" in event.detail
    await ingest.guard.check()  # there is room again
    await ingest.publish("undefined")
    await ingest.guard.check()
    assert "1 chunk was stored" in (await ingest.events())[-1].detail


async def test_only_new_chunks_of_undefined_streams_are_reported(bus: Bus) -> None:
    ingest = await Ingest.open(bus, "known")
    await ingest.publish("old")
    await ingest.guard.check()
    await ingest.publish("known", 2)
    await ingest.publish("new", 2)
    await bus.log.store("cwt.signal.not.a.name", CHUNK, msg_id="nameless")
    for _ in range(2):
        await ingest.guard.check()
    details = {event.stream: event.detail for event in await ingest.events()}
    assert len(await ingest.events()) == 2
    assert details.keys() == {"new", NAMELESS}
    assert details["new"].startswith("2 chunks were stored; stream new is not defined")
    assert subjects.stream("put") in details["new"]


async def test_invented_names_do_not_fill_the_log_of_events(bus: Bus) -> None:
    """A client that invented a name for each chunk had an event stored for each."""
    ingest = await Ingest.open(bus, "small")
    with suppress(StorageFullError):
        for number in range(250):
            invented = subjects.signal(f"invented-{number}")
            await bus.log.store(invented, CHUNK[:300], msg_id=f"invented/{number}")
    await ingest.guard.check()
    assert await ingest.counts() == {}
    assert len(await ingest.events()) == MAX_REPORTED


async def test_only_defined_streams_are_taken_where_it_is_asked_for(bus: Bus) -> None:
    ingest = await Ingest.open(bus, defined_only=True)
    await ingest.guard.check()
    with pytest.raises(BusError):
        await ingest.publish("early")
    await ingest.define("early")
    await ingest.publish("early")
    with pytest.raises(BusError):
        await ingest.publish("other")
    await ingest.guard.check()
    await ingest.publish("early")
    assert await ingest.counts() == {"early": 2}
