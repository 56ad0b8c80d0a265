"""A recording is played as a device would send it."""

from __future__ import annotations

import numpy as np
import pytest

from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import storage, subjects
from cwt_schemas.codec import decode_chunk
from cwt_schemas.live import SignalChunk
from pycwt_client import Client
from pycwt_client.sources.csv_file import Recording
from pycwt_client.sources.player import play, start_time_ns
from pycwt_client.sources.source import NS
from tests.memory_bus import MemoryBus

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
    async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        stored = [(await anext(messages)).message for _ in told]
    return [decode_chunk(each.headers, each.data, 2) for each in stored], told


@pytest.mark.parametrize("speed", [0, 1000])
async def test_chunks_are_equal_but_for_the_last_and_lose_nothing(speed: float) -> None:
    chunks, told = await played(speed)
    assert told == [10, 20, 25]
    assert [chunk.first_sample for chunk in chunks] == [0, 10, 20]
    np.testing.assert_array_equal(
        np.concatenate([chunk.samples for chunk in chunks]), RECORDING.samples
    )


async def test_time_stamps_follow_the_samples() -> None:
    chunks, _ = await played(0)
    times = [chunk.t0_ns for chunk in chunks if chunk.t0_ns is not None]
    np.testing.assert_array_equal(np.diff(times), 100_000_000)


@pytest.mark.parametrize(("speed", "back_s"), [(1, 0), (0.5, 0), (20, 95), (0, 100)])
def test_no_sample_is_from_the_future(speed: float, back_s: float) -> None:
    assert start_time_ns(1000 * NS, 100.0, speed) == (1000 - back_s) * NS
