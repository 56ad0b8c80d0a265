"""Coherence of all pairs of many channels: sustained, and as fast as possible."""

from __future__ import annotations

import math

from benchmarks.live.bench import Systems
from benchmarks.live.figures import Figure, Section
from benchmarks.live.streams import all_pairs
from benchmarks.live.throughput import (
    WORKERS,
    backlog_figures,
    core_words,
    lag_words,
    memory_figures,
    play_stream,
)

__all__ = ["pairs"]

FS_HZ = 250.0
CHUNK = 25
#: Largest memory of a worker, MiB.
MAX_WORKER_MIB = 1024
#: Results of this part of the played time are awaited, at full speed.
FAST_PART = 0.5


async def pairs(
    systems: Systems, channels: int, seconds: float, speed: float, runs: int
) -> Section:
    """Measure all pairs of many channels: at `speed` for `seconds`, then at full speed."""
    sustained, fast = [], []
    stream, rate = all_pairs("pairs", channels, FS_HZ), 0
    count = math.ceil(seconds * speed * FS_HZ / CHUNK)
    for _ in range(runs):
        async with systems(WORKERS) as system:
            rate = (await system.client.put_stream(stream)).results_bytes_per_s or 0
            sustained.append(await play_stream(system, stream, CHUNK, count, CHUNK / FS_HZ / speed))
            hurried = all_pairs("hurried", channels, FS_HZ)
            fast.append(await play_stream(system, hurried, CHUNK, math.ceil(count * FAST_PART), 0))
    most = tuple(float(max(each.memory_mib(t / 20)["compute"] for t in range(21)))
                 for each in sustained)  # fmt: skip
    figures = [
        Figure(
            what="as fast as the log accepts chunks", unit="x real time", target=">= 2",
            values=tuple(each.recorded_s(FS_HZ) / each.seconds for each in fast),
            note="from the first chunk to the last result; " + core_words(fast[0]),
        ),
        Figure(
            what=f"sustained for {seconds:g} s", unit="x real time", target=f">= {speed:g}",
            values=tuple(each.recorded_s(FS_HZ) / each.seconds for each in sustained),
            note="from the first chunk to the last result; " + lag_words(sustained[0]),
        ),
        *backlog_figures(sustained),
        Figure(
            what="memory of a worker, maximum", unit="MiB", target=f"< {MAX_WORKER_MIB}",
            values=most,
        ),
        *memory_figures(sustained),
    ]  # fmt: skip
    n_pairs = channels * (channels - 1) // 2
    spec = stream.analyses[0]
    text = (
        f"{channels} channels at {FS_HZ:g} Hz, all {n_pairs:,} pairs with their levels, "
        f"{spec.voices_per_octave} voices in 4 octaves, every value in float32, "
        f"{rate / 1e6:.0f} MB of results per second of signal, `hop_s` {spec.hop_s:g}, chunks of "
        f"{CHUNK} samples, {WORKERS} workers, played at {speed:g} times real time. Processor time: "
        f"{core_words(sustained[0])}."
    )
    return Section(title="All pairs of channels", text=text, figures=tuple(figures))
