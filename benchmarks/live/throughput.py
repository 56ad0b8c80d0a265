"""Throughput: sustained without a backlog, at full speed, and for a day of data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.live.bench import Bench, Played, Systems
from benchmarks.live.device import Device
from benchmarks.live.figures import Figure, Section
from benchmarks.live.floor import play_floor
from benchmarks.live.latency import trees
from benchmarks.live.streams import coherence, heavy, power, results_of
from cwt_schemas.stream import StreamDefinition

__all__ = [
    "backlog_figures",
    "core_words",
    "day",
    "lag_words",
    "memory_figures",
    "play_stream",
    "scaling",
    "throughput",
]

FS = 1000.0
HOP_S = 0.5
WORKERS = 2
#: Roles other than workers, for the figure about scaling.
OTHERS = ("server", "ingest", "device")


async def throughput(
    systems: Systems, channels: int, seconds: float, speed: float, runs: int
) -> Section:
    """Measure many channels: in real time for `seconds`, then at full speed."""
    chunk = 50
    sustained, fast, floors = [], [], []
    for _ in range(runs):
        async with systems(WORKERS) as system:
            stream = power("sustained", channels, hop_s=HOP_S)
            count = int(seconds * speed * FS / chunk)
            sustained.append(await play_stream(system, stream, chunk, count, chunk / FS / speed))
            count = max(count // 2, 20)
            fast.append(await play_stream(
                system, power("fast", channels, hop_s=HOP_S), chunk, count, 0
            ))  # fmt: skip
            short = await trees(
                system, power("sizes", channels, hop_s=HOP_S),
                Device(url=system.url, stream="sizes", channels=channels, chunk=chunk,
                       count=max(count // 4, 20), every_s=0),
            )  # fmt: skip
            took, _ = await play_floor(system.url, short, workers=WORKERS, every_s=0)
            floors.append(len(short) * chunk * channels / took)
    figures = [
        Figure(
            what=f"sustained for {seconds:g} s", unit="channel-samples/s", target=">= 200,000",
            values=tuple(each.channel_samples / each.seconds for each in sustained),
            note="from the first chunk to the last result; " + lag_words(sustained[0]),
        ),
        *backlog_figures(sustained),
        Figure(
            what="as fast as the log accepts chunks", unit="channel-samples/s",
            values=tuple(each.channel_samples / each.seconds for each in fast),
            note="from the first chunk to the last result; " + core_words(fast[0]),
        ),
        Figure(
            what="floor", unit="channel-samples/s", values=tuple(floors),
            note="the same messages, one at a time in each program",
        ),
        *memory_figures(sustained),
    ]  # fmt: skip
    text = (
        f"{channels} channels at 1 kHz, played at {speed:g} times real time; power in float32, 12 "
        f"voices in 8 octaves, `hop_s` {HOP_S:g}, chunks of {chunk} samples, {WORKERS} workers. "
        "Processor time: " + core_words(sustained[0]) + "."
    )
    return Section(title="Throughput", text=text, figures=tuple(figures))


async def scaling(systems: Systems, n_samples: int, voices: int, runs: int) -> Section:
    """Measure one worker and two workers in turns, with windows that mostly load the workers."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    others: list[float] = []
    for run in range(runs):
        for workers, found in rates.items():
            stream = heavy(f"heavy-{workers}-{run}", voices)
            async with systems(workers) as system:
                played = await play_stream(system, stream, 100, n_samples // 100, 0, dtype="<i4")
                first = played.arrivals[0].received_ns
                found.append(len(played.arrivals) / (played.arrivals[-1].received_ns - first) * 1e9)
                if workers == 2:
                    cores = played.cores()
                    others.append(sum(cores.get(role, 0.0) for role in OTHERS))
    ratios = tuple(two / one for one, two in zip(rates[1], rates[2], strict=True))
    figures = (
        Figure(what="two workers relative to one", values=ratios, unit="x", target=">= 1.7 x"),
        Figure(
            what="server, ingest and device together, with two workers", values=tuple(others),
            unit="cores", target="< 0.1",
        ),
        Figure(what="results with one worker", values=tuple(rates[1]), unit="/s"),
        Figure(what="results with two workers", values=tuple(rates[2]), unit="/s"),
    )  # fmt: skip
    text = (
        f"Cross spectra of four pairs of channels with Paul's wavelet of order 3, {voices} voices "
        "in one octave, 32-bit counts computed in float64: windows of 8,019 samples for tiles of "
        "5, about 60 ms of computation each. Measured from the first result to the last."
    )
    return Section(title="Scaling", text=text, figures=figures)


async def day(systems: Systems, seconds: float) -> Section:
    """Play a long recording at full speed, and measure the memory during the run."""
    fs_hz, chunk = 250.0, 250
    async with systems(WORKERS) as system:
        stream = coherence("day", fs_hz=fs_hz, hop_s=2.0)
        played = await play_stream(system, stream, chunk, int(seconds * fs_hz / chunk), 0)
    text = (
        f"{seconds / 3600:.3g} hours of two channels at 250 Hz, coherence with levels, 12 voices "
        "in 4 octaves, `hop_s` 2, played as fast as the log accepts them: "
        f"{played.seconds:.0f} s, {seconds / played.seconds:,.0f} times real time, "
        f"{len(played.arrivals):,} results."
    )
    return Section(
        title="Memory over hours of data", text=text, figures=tuple(memory_figures([played]))
    )


async def play_stream(
    system: Bench,
    stream: StreamDefinition,
    chunk: int,
    count: int,
    every_s: float,
    dtype: str = "<f4",
) -> Played:
    """Define a stream, publish `count` chunks, and wait for their results."""
    await system.client.put_stream(stream)
    device = Device(
        url=system.url, stream=stream.name, channels=len(stream.channels), chunk=chunk,
        count=count, every_s=every_s, dtype=dtype,
    )  # fmt: skip
    return await system.play(device, results=results_of(stream, count * chunk))


def lag_words(played: Played) -> str:
    """Format the latency of results in each sixth of the run."""
    lags = played.lags_ms()
    end = max(at for at, _ in lags)
    parts = [[ms for at, ms in lags if i <= 6 * at / end <= i + 1] for i in range(6)]
    medians = ", ".join(f"{np.median(part):.0f}" if part else "-" for part in parts)
    return f"median lag of results in each sixth of the run: {medians} ms"


def lag_growth(played: Played) -> float:
    """Return the growth of the median lag from the first to the last third, ms."""
    lags = played.lags_ms()
    end = max(at for at, _ in lags)
    first, last = (
        [ms for at, ms in lags if low <= at / end <= low + 1 / 3] for low in (0.05, 2 / 3)
    )
    # A short run may have no result in some sixths.
    return float(np.median(last) - np.median(first)) if first and last else math.nan


def core_words(played: Played) -> str:
    """Format the processor time of each role."""
    found = sorted(played.cores().items(), key=lambda item: -item[1])
    return ", ".join(f"{role} {cores:.2f} cores" for role, cores in found if cores >= 0.005)


def backlog_figures(runs: Sequence[Played]) -> list[Figure]:
    """Return what shows whether the system falls behind."""
    return [
        Figure(
            what="lag of results, last third minus first third", unit="ms",
            values=tuple(lag_growth(each) for each in runs), target="not growing",
        ),
        Figure(
            what="windows waiting at the end", unit="", target="not growing",
            values=tuple(float(each.samples[-1].windows) for each in runs),
            note=f"maximum: {max(s.windows for s in runs[0].samples)}",
        ),
    ]  # fmt: skip


def memory_figures(runs: Sequence[Played]) -> list[Figure]:
    """Return the growth of the memory of each role."""
    figures = []
    for role in ("server", "ingest", "compute"):
        course = [runs[0].memory_mib(tenth / 10).get(role, 0) for tenth in range(1, 11)]
        grown = tuple(
            float(each.memory_mib(1.0).get(role, 0) - each.memory_mib(0.5).get(role, 0))
            for each in runs
        )
        told = ", ".join(map(str, course))
        figures.append(
            Figure(
                what=f"memory of {role}, growth in the second half", values=grown, unit="MiB",
                target="flat", note=f"after each tenth of the run: {told} MiB",
            )
        )  # fmt: skip
    return figures
