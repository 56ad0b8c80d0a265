"""``python -m benchmarks``: measure everything, print the tables, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks.codec import request_work, scan_works, window_works
from benchmarks.coherences import coherence_work, instant_work, significance_work
from benchmarks.machine import machine, versions
from benchmarks.measurement import Work
from benchmarks.pairs import pairs_work
from benchmarks.pipeline import pipeline_work
from benchmarks.publishing import publishing_works
from benchmarks.report import page, terminal_tables
from benchmarks.transforms import N, floor_work, growth_works, transform_works

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def full() -> Iterator[Callable[[], tuple[Work, ...]]]:
    """Yield all measurements at full size, which takes about three minutes."""
    yield lambda: transform_works(N, 5)
    yield lambda: (floor_work(N, 9),)
    yield lambda: growth_works(N, 5)
    yield lambda: (coherence_work(10_000, 5),)
    yield lambda: (significance_work(1000, 300, 5, peer_runs=10),)
    yield lambda: (instant_work(1000, 15),)
    yield lambda: (pairs_work(64, 10_000, 3, sample=24, pycwt_sample=4),)
    yield lambda: (request_work(10_000, 9),)
    yield lambda: window_works(4000, 9)
    yield lambda: scan_works(9)
    yield lambda: publishing_works(20_000, 5)
    yield lambda: (pipeline_work(600, 3, workers=2),)


def quick() -> Iterator[Callable[[], tuple[Work, ...]]]:
    """Yield all measurements with little data."""
    yield lambda: transform_works(600, 1, memory=("float32",))
    yield lambda: (floor_work(600, 1),)
    yield lambda: growth_works(600, 1, multirate=1, full=1)
    yield lambda: (coherence_work(300, 1),)
    yield lambda: (significance_work(70, 5, 1, peer_runs=2),)
    yield lambda: (instant_work(100, 1),)
    yield lambda: (pairs_work(4, 500, 1, sample=2, pycwt_sample=1),)
    yield lambda: (request_work(100, 1),)
    yield lambda: window_works(100, 1)
    yield lambda: scan_works(1)
    yield lambda: publishing_works(200, 1)
    yield lambda: (pipeline_work(30, 1, workers=1),)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small run; prints the tables, writes no page"
    )
    parser.add_argument("--output", type=Path, help="file for the page")
    options = parser.parse_args(arguments)
    output = options.output or (None if options.quick else PAGE)
    console = Console()
    console.width = max(console.width, 132)  # tables are hard to read in a narrower terminal
    here = machine()
    works: list[Work] = []
    # Limit BLAS to one thread, so that each implementation uses only the threads that it states.
    with threadpool_limits(1):
        for measure in quick() if options.quick else full():
            measured = measure()
            works += measured
            for table in terminal_tables(measured):
                console.print(table, markup=False)
                console.print()
    if output is not None:
        command = "python -m benchmarks" + (" --quick" if options.quick else "")
        output.write_text(page(works, here, versions(), command), encoding="utf-8")
        console.print(f"Written: {output}")


if __name__ == "__main__":
    main()
