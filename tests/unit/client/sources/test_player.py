"""A recording is played as a device would send it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from cwt_runtime.bus import StoreAck
from cwt_runtime.bus.errors import NotStoredError
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import storage, subjects
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.live import SignalChunk
from cwt_schemas.marker import Marker
from cwt_schemas.stream import Channel, StreamDefinition, StreamGet, StreamStatus
from pycwt_client import Client
from pycwt_client.publisher import open_publisher
from pycwt_client.sending import Sending
from pycwt_client.sources.csv_file import Recording
from pycwt_client.sources.places import Run
from pycwt_client.sources.player import play, start_time_ns
from pycwt_client.sources.source import NS, Annotation, Recorded, SourceInfo
from pycwt_client.sources.whole import Resampled
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog
from tests.unit.client.conftest import serving

pytestmark = pytest.mark.anyio

RECORDING = Recording(
    columns=("a", "b"), samples=np.arange(50, dtype="<f4").reshape(25, 2), fs_hz=100.0
)


async def played(speed: float) -> tuple[list[SignalChunk], list[int]]:
    bus = MemoryBus()
    await bus.log.declare(system_topology(StorageSettings()))
    told: list[int] = []
    async with Client(bus).publisher("s", "e") as publisher:
        signals = RECORDING.signals(100.0, chunk_s=0.1)
        await play(signals, publisher, speed=speed, played=told.append)
    return (await stored_in(bus))[: len(told)], told


async def stored_in(bus: MemoryBus) -> list[SignalChunk]:
    async with bus.log.read(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        stored = [each.message async for each in messages]
    return [decode_chunk(each.headers, each.data, 2) for each in stored]


@pytest.mark.parametrize("speed", [0, 1000])
async def test_chunks_are_equal_but_for_the_last_and_lose_nothing(speed: float) -> None:
    chunks, told = await played(speed)
    assert told == [10, 20, 25]
    assert [chunk.first_sample for chunk in chunks] == [0, 10, 20]
    np.testing.assert_array_equal(
        np.concatenate([chunk.samples for chunk in chunks]), RECORDING.samples
    )


async def test_a_recording_with_infinite_samples_is_played_to_its_end(bus: MemoryBus) -> None:
    """The first one ended it."""
    samples = np.array([[1, 2], [np.inf, 4], [5, -np.inf]], "<f4")
    recording = Recording(columns=("a", "b"), samples=samples, fs_hz=100.0)
    async with Client(bus).publisher("s", "e") as publisher:
        await play(recording.signals(100.0, chunk_s=0.01), publisher, speed=0)
    assert (publisher.kept, publisher.next_sample) == (3, 3)


async def test_time_stamps_follow_the_samples() -> None:
    chunks, _ = await played(0)
    times = [chunk.t0_ns for chunk in chunks if chunk.t0_ns is not None]
    np.testing.assert_array_equal(np.diff(times), 100_000_000)


async def test_an_interrupted_recording_continues_where_ingest_stands(bus: MemoryBus) -> None:
    channels = (Channel(name="a"), Channel(name="b"))
    definition = StreamDefinition(name="s", fs_hz=100.0, channels=channels)
    stands = StreamStatus(definition=definition, epoch="e", next_sample=10)
    told: list[int] = []
    async with (
        serving(bus, subjects.stream("get"), StreamGet, lambda _: stands),
        Client(bus).publisher("s", "e") as publisher,
    ):
        await play(RECORDING.signals(100.0, chunk_s=0.1), publisher, speed=0, played=told.append)
    chunks = await stored_in(bus)
    assert [(each.first_sample, each.final) for each in chunks] == [
        (10, False), (20, False), (25, True),
    ]  # fmt: skip
    assert told == [10, 20, 25]


NOTES = (
    Annotation(onset_s=-1.0, duration_s=0.5, text="before"),
    Annotation(onset_s=-0.5, duration_s=2.0, text="reaches in"),
    Annotation(onset_s=0.0, duration_s=0.0, text="begin"),
    Annotation(onset_s=3.0, duration_s=0.25, text="in the gap"),
    Annotation(onset_s=1.004, duration_s=0.0, text="x" * 5000),
    Annotation(onset_s=math.nan, duration_s=0.0, text="damaged"),
    Annotation(onset_s=1e30, duration_s=0.0, text="damaged"),
    Annotation(onset_s=5.0, duration_s=math.inf, text="end"),
)


def noted(annotations: tuple[Annotation, ...], chunk_s: float = 0.2) -> Recorded:
    """A recording of 5 s with a gap from 2 to 4 s."""
    info = SourceInfo(
        name="r", channels=(Channel(name="a"),), fs_hz=100.0, n_samples=500,
        annotations=annotations,
    )  # fmt: skip
    runs = (Run(start=0, stop=200, first_sample=0), Run(start=200, stop=300, first_sample=400))
    return Recorded(info, lambda a, b: np.zeros((b - a, 1)), chunk_s=chunk_s, runs=runs)


async def markers_of(bus: MemoryBus) -> list[Marker]:
    count = await bus.log.last_seq(storage.RESULTS)
    async with Client(bus).markers("s") as markers:
        return [await anext(markers) for _ in range(count)]


@pytest.mark.parametrize("chunk_s", [0.01, 0.2, 10.0])
async def test_annotations_become_markers_at_their_samples(bus: MemoryBus, chunk_s: float) -> None:
    stored: list[int] = []
    for _ in range(2):  # the second time changes nothing
        async with Client(bus).publisher("s", "e") as publisher:
            await play(noted(NOTES, chunk_s), publisher, speed=0)
        stored.append(publisher.markers)
    found = [(each.first_sample, each.duration_s, each.text[:10]) for each in await markers_of(bus)]
    assert sorted(found, key=str) == sorted(
        [
            (0, 1.5, "reaches in"),
            (0, None, "begin"),
            (100, None, "xxxxxxxxxx"),
            (300, 0.25, "in the gap"),
            (500, None, "end"),
        ],
        key=str,
    )
    assert stored == [5, 5]


async def test_annotations_of_a_recording_at_another_rate_stay_at_their_times(
    bus: MemoryBus,
) -> None:
    class Source:
        @asynccontextmanager
        async def open(self) -> AsyncIterator[Recorded]:
            yield noted((Annotation(onset_s=4.5, duration_s=0.0, text="on"),))

    async with Client(bus).publisher("s", "e") as publisher, Resampled(Source(), 40).open() as it:
        await play(it, publisher, speed=0)
    assert [each.first_sample for each in await markers_of(bus)] == [180]


async def test_a_recording_is_published_to_its_end_where_its_markers_are_refused() -> None:
    class WithoutMarkers(MemoryLog):
        async def store(self, subject: str, *given: Any, **options: Any) -> StoreAck:
            if subject == subjects.marker("s"):
                raise NotStoredError("no permission")
            return await super().store(subject, *given, **options)

    log = WithoutMarkers()
    await log.declare(system_topology(StorageSettings()))

    async def publish() -> None:
        async with open_publisher(log, "s", "e", sending=Sending()) as publisher:
            await play(noted(NOTES), publisher, speed=0)

    with pytest.raises(NotStoredError, match=r"'reaches in' of s: no permission"):
        await publish()
    assert await log.last_seq(storage.SIGNALS) == 16


@pytest.mark.parametrize(("speed", "back_s"), [(1, 0), (0.5, 0), (20, 95), (0, 100)])
def test_no_sample_is_from_the_future(speed: float, back_s: float) -> None:
    assert start_time_ns(1000 * NS, 100.0, speed) == (1000 - back_s) * NS
