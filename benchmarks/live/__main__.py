"""``python -m benchmarks.live``: measure the speed of the live path against its targets."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from benchmarks.live.all_pairs import pairs
from benchmarks.live.bench import Systems, bench, shared_bench
from benchmarks.live.estimates import estimates
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
    pair_channels: int
    pairs_s: float


#: Full size, which takes about a quarter of an hour.
FULL = Size(
    channels=200, sustained_s=60, speed=2, latency_s=40, warm_s=2, runs=2, traffic_s=30,
    scaling_samples=12_000, scaling_voices=96, day_s=86_400, pair_channels=64,
    pairs_s=60,
)  # fmt: skip
#: The least data that gives a result for every figure.
QUICK = Size(
    channels=2, sustained_s=1.5, speed=2, latency_s=1, warm_s=0.3, runs=1, traffic_s=2.5,
    scaling_samples=4_100, scaling_voices=4, day_s=60, pair_channels=4,
    pairs_s=1.5,
)  # fmt: skip


def measurements(size: Size) -> dict[str, Callable[[Systems], Awaitable[Section]]]:
    """Return all measurements by name."""
    return {
        "throughput": lambda on: throughput(
            on, size.channels, size.sustained_s, size.speed, size.runs
        ),
        "latency": lambda on: latency(on, size.latency_s, size.warm_s, size.runs),
        "estimates": lambda on: estimates(on, size.latency_s, size.warm_s, size.runs),
        "scaling": lambda on: scaling(on, size.scaling_samples, size.scaling_voices, size.runs),
        "traffic": lambda on: traffic(on, size.traffic_s, size.channels),
        "pairs": lambda on: pairs(on, size.pair_channels, size.pairs_s, size.speed, size.runs),
        "day": lambda on: day(on, size.day_s),
    }


async def sections(size: Size, systems: Systems, only: str | None = None) -> list[Section]:
    """Measure everything in sequence, or `only` one measurement."""
    return [
        await measure(systems)
        for name, measure in measurements(size).items()
        if only in {None, name}
    ]


async def quick_sections(only: str | None = None) -> list[Section]:
    """Measure everything with little data on one system."""
    async with shared_bench() as systems:
        return await sections(QUICK, systems, only)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small run; prints the tables, writes no page"
    )
    parser.add_argument(
        "--only", choices=list(measurements(QUICK)), help="one measurement; writes no page"
    )
    parser.add_argument("--output", type=Path, help="file for the page")
    given = parser.parse_args(arguments)
    here = machine()
    if given.quick:
        measured = anyio.run(quick_sections, given.only)
    else:
        measured = anyio.run(sections, FULL, bench, given.only)
    command = "python -m benchmarks.live" + (" --quick" if given.quick else "")
    command += "" if given.only is None else f" --only {given.only}"
    text = page(measured, here, versions(), command)
    output = given.output or (None if given.quick or given.only else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
