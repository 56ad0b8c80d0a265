"""Data sent over the bus per sample: windows and results, counted in transit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgpack  # type: ignore[import-untyped]
import nats
from nats.aio.msg import Msg

from benchmarks.live.bench import Bench, Systems
from benchmarks.live.device import Device
from benchmarks.live.figures import Figure, Section
from benchmarks.live.floor import Tree
from benchmarks.live.streams import (
    CLOSED_LOOP_HOP_S,
    PAIR_HOP_S,
    octaves,
    pair,
    power,
    results_of,
)
from cwt_schemas.stream import StreamDefinition

__all__ = ["Recorder", "traffic", "trees_of"]

#: Octave and first sample, which identify a window and its results.
Tile = tuple[int, int]


@dataclass
class Recorder:
    """Sizes of the windows and results of one stream, by tile."""

    #: End (exclusive) of the samples that the tile needs.
    needed: dict[Tile, int] = field(default_factory=dict)
    windows: defaultdict[Tile, list[int]] = field(default_factory=lambda: defaultdict(list))
    results: defaultdict[Tile, list[int]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    @asynccontextmanager
    async def of(cls, url: str, stream: str) -> AsyncIterator[Recorder]:
        """Record while the context is open."""
        recorder = cls()
        client = await nats.connect(url)
        room: dict[str, Any] = {"pending_bytes_limit": 2**31, "pending_msgs_limit": 2**20}
        try:
            await client.subscribe(f"cwt.window.{stream}.*", cb=recorder._window, **room)
            await client.subscribe(f"cwt.result.{stream}.*", cb=recorder._result, **room)
            await client.flush()
            yield recorder
        finally:
            await client.close()

    async def _window(self, message: Msg) -> None:
        tree = msgpack.unpackb(message.data)
        tile = (tree["octave"], tree["tile"]["first_sample"])
        self.needed[tile] = tree["first_sample"] + tree["samples"]["shape"][0]
        self.windows[tile].append(len(message.data))

    async def _result(self, message: Msg) -> None:
        tree = msgpack.unpackb(message.data)
        self.results[tree["octave"], tree["t"]["first_sample"]].append(len(message.data))


def trees_of(recorder: Recorder, device: Device) -> list[Tree]:
    """Return for every chunk its size, and the sizes of the windows and results it caused."""
    of_chunk: defaultdict[int, list[Tree]] = defaultdict(list)
    for tile, windows in recorder.windows.items():
        results = recorder.results[tile]
        for at, size in enumerate(windows):
            own = tuple((each, ()) for each in results[at :: len(windows)])
            of_chunk[(recorder.needed[tile] - 1) // device.chunk].append((size, own))
    chunk = device.bytes // device.count
    return [(chunk, tuple(of_chunk[at])) for at in range(device.count)]


async def traffic(systems: Systems, seconds: float, channels: int) -> Section:
    """Measure the streams of the other figures."""
    many = power("power", channels, hop_s=0.5)
    counts = many.model_copy(update={"name": "counts"})
    cases = [
        (f"{channels} channels, power, `hop_s` 0.5", many, "<f4"),
        (f"{channels} channels of 16-bit counts, power, `hop_s` 0.5", counts, "<i2"),
        *(
            (f"2 channels, coherence, `hop_s` {hop_s:g}", pair(f"pair-{i}", hop_s), "<f4")
            for i, hop_s in enumerate((PAIR_HOP_S, CLOSED_LOOP_HOP_S))
        ),
    ]
    figures: list[Figure] = []
    async with systems(1) as system:
        for what, stream, dtype in cases:
            figures.append(await _of(system, what, stream, dtype, seconds))
    text = (
        "Bytes of all windows, divided by the bytes of the samples as the device sent them, "
        "averaged over the octaves. The windows of an octave overlap by twice its margin, so the "
        "ratio depends on the hop: with a hop short enough for closed loops, each sample is in "
        "several windows. The coherences are those of the latency figures above."
    )
    return Section(title="Data sent per sample and octave", text=text, figures=tuple(figures))


async def _of(
    system: Bench, what: str, stream: StreamDefinition, dtype: str, seconds: float
) -> Figure:
    count = int(seconds * stream.fs_hz / 50)
    async with Recorder.of(system.url, stream.name) as recorder:
        await system.client.put_stream(stream)
        device = Device(
            url=system.url, stream=stream.name, channels=len(stream.channels), chunk=50,
            count=count, every_s=0, dtype=dtype,
        )  # fmt: skip
        await system.play(device, results=results_of(stream, count * 50))
    tiles: defaultdict[int, list[int]] = defaultdict(list)
    for octave, first in recorder.windows:
        tiles[octave].append(first)
    step_bytes = device.bytes / (count * 50)
    parts = []
    for octave, firsts in tiles.items():
        if len(firsts) < 2:
            continue  # their rate is not known yet
        sizes = sum(sum(recorder.windows[octave, first]) for first in firsts)
        covered = len(firsts) * (max(firsts) - min(firsts)) / (len(firsts) - 1)
        parts.append(sizes / (covered * step_bytes))
    results = sum(map(sum, recorder.results.values()))
    return Figure(
        what=what, values=(sum(parts) / len(parts),), unit="x", target="<= 3 x",
        note=f"{len(parts)} of {octaves(stream)} octaves, lowest {min(parts):.2f}, highest "
        f"{max(parts):.2f}; results: {results / (device.bytes * octaves(stream)):.2f} x",
    )  # fmt: skip
