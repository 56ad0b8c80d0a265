"""Latency from publishing the last sample that a result needs to the reader of the result."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import anyio
import numpy as np

from benchmarks.live.bench import Bench, Played, Systems
from benchmarks.live.device import Device, running_device
from benchmarks.live.figures import Figure, Section
from benchmarks.live.floor import Tree, play_floor
from benchmarks.live.results import Arrival
from benchmarks.live.streams import CLOSED_LOOP_HOP_S, PAIR_HOP_S, pair, results_of
from benchmarks.live.traffic import Recorder, trees_of
from cwt_schemas.stream import StreamDefinition

__all__ = ["latency", "trees"]

FS = 1000.0
CHUNK = 20
WORKERS = 2


@dataclass(frozen=True)
class _Run:
    ms: list[float]

    def at(self, percent: float) -> float:
        return float(np.percentile(self.ms, percent))


async def latency(systems: Systems, seconds: float, warm_s: float, runs: int) -> Section:
    """Measure both readers in turns, then the floor, then shorter hops, all on one system.

    Results of the first `warm_s` seconds are warm-up and do not count.
    """
    plain: dict[float, list[Played]] = {PAIR_HOP_S: [], CLOSED_LOOP_HOP_S: []}
    feeds: dict[float, list[_Run]] = {hop_s: [] for hop_s in plain}
    floors: list[_Run] = []
    async with systems(WORKERS) as system:
        for number, hop_s in product(range(runs), plain):
            name = f"{1000 * hop_s:.0f}-{number}"
            plain[hop_s].append(await _plain(system, pair(f"plain-{name}", hop_s), seconds))
            feeds[hop_s].append(await _feed(system, pair(f"feed-{name}", hop_s), seconds, warm_s))
        for number in range(runs):
            stream = pair(f"sizes-{number}", PAIR_HOP_S)
            sizes = await trees(system, stream, _device(system, stream.name, min(seconds, 10.0)))
            _, floor = await play_floor(system.url, sizes, workers=WORKERS, every_s=CHUNK / FS)
            floors.append(_Run(floor[len(floor) // 5 :]))
    figures = [
        *_readers(plain[PAIR_HOP_S], feeds[PAIR_HOP_S], warm_s),
        *_percentiles("floor", floors, target=False),
        *(_stage(name, plain[PAIR_HOP_S], at, warm_s) for name, at in STAGES.items()),
        *_readers(
            plain[CLOSED_LOOP_HOP_S],
            feeds[CLOSED_LOOP_HOP_S],
            warm_s,
            f", `hop_s` {CLOSED_LOOP_HOP_S:g}",
        ),
    ]
    text = (
        f"Two channels at 1 kHz in chunks of {1000 * CHUNK / FS:g} ms, coherence with its 95 % "
        f"level, 12 voices in 4 octaves, `hop_s` {PAIR_HOP_S:g}; {WORKERS} workers, {seconds:g} s "
        "per run. Latency excludes chunk and hop: it begins when the chunk with the last sample "
        "that the result needs is published. The last rows have a hop for closed loops. "
        "The data sent for these streams is listed below."
    )
    return Section(title="Latency", text=text, figures=tuple(figures))


def _readers(
    plain: Sequence[Played], feeds: Sequence[_Run], warm_s: float, of: str = ""
) -> list[Figure]:
    own = [_Run([ms for at, ms in each.lags_ms() if at > warm_s]) for each in plain]
    return [
        *_percentiles(f"a subscriber to the results{of}", own, target=True),
        *_percentiles(f"`pycwt_client`, `async for result in ...`{of}", feeds, target=True),
    ]


#: The stage of a result at each of its times.
STAGES: dict[str, Callable[[Arrival], int]] = {
    "the chunk is in the log": lambda each: each.stored_ns,
    "ingest has the chunk": lambda each: each.windowed_ns,
    "the result is computed": lambda each: each.computed_ns,
}


def _stage(
    name: str, plain: Sequence[Played], at: Callable[[Arrival], int], warm_s: float
) -> Figure:
    medians = [
        statistics.median(
            (at(each) - played.published_ns[played.chunk_of(each)]) / 1e6
            for each in played.arrivals
            if at(each) > played.published_ns[0] + warm_s * 1e9
        )
        for played in plain
    ]
    return Figure(what=f"until {name}, median", values=tuple(medians), unit="ms")


def _percentiles(who: str, runs: Sequence[_Run], *, target: bool) -> list[Figure]:
    results = sum(len(run.ms) for run in runs)
    return [
        Figure(
            what=f"{who}, p{percent}", values=tuple(run.at(percent) for run in runs), unit="ms",
            target=f"< {limit} ms" if target else "", note=f"{results} results",
        )
        for percent, limit in ((50, 5), (99, 20))
    ]  # fmt: skip


def _device(system: Bench, name: str, seconds: float) -> Device:
    count = int(seconds * FS / CHUNK)
    return Device(
        url=system.url, stream=name, channels=2, chunk=CHUNK, count=count, every_s=CHUNK / FS
    )


async def _plain(system: Bench, stream: StreamDefinition, seconds: float) -> Played:
    device = _device(system, stream.name, seconds)
    await system.client.put_stream(stream)
    expected = results_of(stream, device.count * device.chunk)
    return await system.play(device, results=expected)


async def _feed(system: Bench, stream: StreamDefinition, seconds: float, warm_s: float) -> _Run:
    """Read with the client, as a program does."""
    device = _device(system, stream.name, seconds)
    await system.client.put_stream(stream)
    found: list[tuple[int, int]] = []
    async with system.client.results(stream.name) as feed:
        with running_device(device, system.folder) as running:
            running.go()
            with anyio.fail_after(seconds + 60):
                while len(found) < results_of(stream, device.count * device.chunk):
                    result = await anext(feed)
                    span = result.input
                    found.append((span.first_sample + span.n_samples, time.time_ns()))
                await running.finished()
            times = running.times_ns()
    lags = [(at - int(times[(needed - 1) // CHUNK])) / 1e6 for needed, at in found]
    warm = int(warm_s * FS)
    return _Run([lag for lag, (needed, _) in zip(lags, found, strict=True) if needed > warm])


async def trees(system: Bench, stream: StreamDefinition, device: Device) -> list[Tree]:
    """Return the messages on the bus for each chunk of the device."""
    await system.client.put_stream(stream)
    async with Recorder.of(system.url, stream.name) as recorder:
        await system.play(device, results=results_of(stream, device.count * device.chunk))
    return trees_of(recorder, device)
