"""``python -m benchmarks.live``: measure the speed of the live path against its targets."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from benchmarks.live.bench import Systems, bench, shared_bench
from benchmarks.live.figures import Section, page
from benchmarks.live.latency import latency
from benchmarks.live.throughput import day, scaling, throughput
from benchmarks.live.traffic import traffic
from benchmarks.machine import machine, versions

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks-live.md"


@dataclass(frozen=True, kw_only=True)
class Size:
    """Amount of data to measure."""

    channels: int
    sustained_s: float
    speed: float
    latency_s: float
    warm_s: float
    runs: int
    traffic_s: float
    scaling_samples: int
    scaling_voices: int
    day_s: float


#: Full size, which takes about a quarter of an hour.
FULL = Size(
    channels=200, sustained_s=60, speed=2, latency_s=40, warm_s=2, runs=2, traffic_s=30,
    scaling_samples=12_000, scaling_voices=96, day_s=86_400,
)  # fmt: skip
#: The least data that gives a result for every figure.
QUICK = Size(
    channels=2, sustained_s=1.5, speed=2, latency_s=1, warm_s=0.3, runs=1, traffic_s=2.5,
    scaling_samples=4_100, scaling_voices=4, day_s=60,
)  # fmt: skip


def measurements(size: Size) -> Iterator[Callable[[Systems], Awaitable[Section]]]:
    """Yield all measurements."""
    yield lambda on: throughput(on, size.channels, size.sustained_s, size.speed, size.runs)
    yield lambda on: latency(on, size.latency_s, size.warm_s, size.runs)
    yield lambda on: scaling(on, size.scaling_samples, size.scaling_voices, size.runs)
    yield lambda on: traffic(on, size.traffic_s, size.channels)
    yield lambda on: day(on, size.day_s)


async def sections(size: Size, systems: Systems) -> list[Section]:
    """Measure everything in sequence."""
    return [await each(systems) for each in measurements(size)]


async def quick_sections() -> list[Section]:
    """Measure everything with little data on one system."""
    async with shared_bench() as systems:
        return await sections(QUICK, systems)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small run; prints the tables, writes no page"
    )
    parser.add_argument("--output", type=Path, help="file for the page")
    given = parser.parse_args(arguments)
    here = machine()
    measured = anyio.run(quick_sections) if given.quick else anyio.run(sections, FULL, bench)
    command = "python -m benchmarks.live" + (" --quick" if given.quick else "")
    text = page(measured, here, versions(), command)
    output = given.output or (None if given.quick else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
