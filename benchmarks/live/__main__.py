"""``python -m benchmarks.live``: what the live path promises of speed, measured."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from benchmarks.live.figures import Section, page
from benchmarks.live.latency import latency
from benchmarks.live.throughput import day, scaling, throughput
from benchmarks.live.traffic import traffic
from benchmarks.machine import machine, versions

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks-live.md"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    channels: int
    sustained_s: float
    speed: float
    latency_s: float
    runs: int
    traffic_s: float
    scaling_samples: int
    day_s: float


#: About a quarter of an hour.
FULL = Size(
    channels=200, sustained_s=60, speed=2, latency_s=40, runs=2, traffic_s=30,
    scaling_samples=12_000, day_s=86_400,
)  # fmt: skip
QUICK = Size(
    channels=4, sustained_s=2, speed=2, latency_s=3, runs=1, traffic_s=4, scaling_samples=4_800,
    day_s=600,
)  # fmt: skip


def measurements(size: Size) -> Iterator[Callable[[], Awaitable[Section]]]:
    """Yield everything that is measured."""
    yield lambda: throughput(size.channels, size.sustained_s, size.speed, size.runs)
    yield lambda: latency(size.latency_s, size.runs)
    yield lambda: scaling(size.scaling_samples, size.runs)
    yield lambda: traffic(size.traffic_s, size.channels)
    yield lambda: day(size.day_s)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little data, no page written")
    parser.add_argument("--output", type=Path, help="where to write the page")
    given = parser.parse_args(arguments)
    here = machine()
    sections = [anyio.run(each) for each in measurements(QUICK if given.quick else FULL)]
    command = "python -m benchmarks.live" + (" --quick" if given.quick else "")
    text = page(sections, here, versions(), command)
    output = given.output or (None if given.quick else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
