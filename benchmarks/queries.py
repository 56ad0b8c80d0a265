"""``python -m benchmarks.queries``: measure the overhead of queries, and queries under load."""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import nats
import numpy as np
import orjson
from threadpoolctl import threadpool_limits

import pycwt_mod
from benchmarks.machine import machine, versions
from benchmarks.measurement import Measurement, Work
from benchmarks.report import page
from cwt_cli.shell import command_log
from cwt_cli.system import SystemPlan, running_system
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.errors import ContractError
from cwt_schemas.query import WctRequest
from pycwt_client import Client, connect

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-queries.md"
TITLE = "# Benchmarks of queries"
WORKERS = 2
ECHO = """
import anyio, nats, sys
async def main():
    client = await nats.connect(sys.argv[1])
    async def echo(message):
        await message.respond(message.data)
    await client.subscribe("echo", cb=echo)
    await client.flush()
    print("ready", flush=True)
    await anyio.sleep_forever()
anyio.run(main)
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Amount of work to measure."""

    samples: int
    runs: int
    small_runs: int
    clients: int
    seconds: float


FULL = Size(samples=10_000, runs=15, small_runs=2000, clients=64, seconds=60)
QUICK = Size(samples=500, runs=2, small_runs=20, clients=8, seconds=1)


async def timed(work: Callable[[], Awaitable[object]], runs: int) -> tuple[float, ...]:
    """Return the seconds of `runs` runs, after an uncounted one."""
    await work()
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        await work()
        found.append(time.perf_counter() - started)
    return tuple(found)


async def in_turns(
    works: Mapping[str, Callable[[], Awaitable[object]]], runs: int
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of each implementation; they run in turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn, (name, work) in itertools.product(range(runs + 1), works.items()):
        seconds = await timed_once(work)
        if turn:
            found[name].append(seconds)
    return {name: tuple(seconds) for name, seconds in found.items()}


async def timed_once(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def coherence_work(client: Client, size: Size) -> Work:
    """Measure a coherence with its level, as a query and as a direct call."""
    x, y = np.random.default_rng(1).standard_normal((2, size.samples))

    # Use a separate seed for each, because workers cache simulated levels.
    seeds = itertools.count(1)

    async def direct() -> object:
        return pycwt_mod.wct(x, y, 1.0, 0.25, mc_count=300, seed=next(seeds))

    async def asked() -> object:
        return await client.wct(x, y, 1.0, 0.25, mc_count=300, seed=next(seeds))

    works: dict[str, Callable[[], Awaitable[object]]] = {
        "query in msgpack": asked,
        "pycwt_mod.wct, called directly": direct,
    }
    found = await in_turns(works, size.runs)
    ours, theirs = (statistics.median(seconds) for seconds in found.values())
    bytes_back = 2 * (await client.wct(x, y, 1.0, 0.25, significance_level=None)).coherence.nbytes
    note = f"{(ours - theirs) * 1000:.1f} ms overhead, for a reply of {bytes_back / 1e6:.1f} MB"
    lines = [
        Measurement(who=name, seconds=seconds, note="" if i else note)
        for i, (name, seconds) in enumerate(found.items())
    ]
    title = f"wct of {size.samples:,} samples, float64, level of 300 pairs"
    return Work(title=title, measurements=tuple(lines))


async def small_work(client: Client, url: str, size: Size) -> Work:
    """Measure queries without computation, and request and reply with only nats-py."""
    echo = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", ECHO, url], stdout=subprocess.PIPE
    )
    assert echo.stdout is not None
    echo.stdout.readline()
    bare = await nats.connect(url)
    try:
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "health": client.health,
            "backends": client.backends,
            f"nats-py {version('nats-py')}, echo of 100 bytes": partial(
                bare.request, "echo", bytes(100)
            ),
        }
        lines = []
        for name, work in works.items():
            seconds = await timed(work, size.small_runs)
            note = f"99 % within {np.percentile(seconds, 99) * 1000:.2f} ms"
            lines.append(Measurement(who=name, seconds=seconds, note=note))
    finally:
        await bare.close()
        echo.kill()
        echo.wait()
    return Work(title="queries without computation, idle system", measurements=tuple(lines))


async def busy_work(client: Client, url: str, size: Size) -> Work:
    """Measure queries without computation while another client keeps every core busy."""
    x, y = np.random.default_rng(2).standard_normal((2, size.samples))
    heavy, enough = 0, anyio.Event()

    async def ask_heavily(other: Client) -> None:
        nonlocal heavy
        while not enough.is_set():
            try:
                # Use separate seeds, because otherwise replies would come from the cache.
                heavy += 1
                await other.wct(x, y, 1.0, mc_count=300, seed=heavy)
            except ContractError:
                await anyio.sleep(0.05)

    lines = []
    async with (
        connect(url, name="bench-heavy", timeout_s=30) as other,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(4 * WORKERS):
            tasks.start_soon(ask_heavily, other)
        for name, work in {"health": client.health, "backends": client.backends}.items():
            seconds = await timed(work, size.small_runs)
            note = f"99 % within {np.percentile(seconds, 99) * 1000:.1f} ms"
            lines.append(Measurement(who=name, seconds=seconds, note=note))
        enough.set()  # requests in flight finish before the next measurement
    title = f"queries without computation while {WORKERS} workers compute {heavy} coherences"
    return Work(title=title, measurements=tuple(lines))


def json_work(size: Size) -> Work:
    """Measure decoding a request in JSON."""
    x = np.random.default_rng(1).standard_normal(size.samples).tolist()
    body = orjson.dumps({"signal1": x, "signal2": x, "dt": 1.0})
    works: dict[str, Callable[[], object]] = {
        "decoded and validated": partial(decode, WctRequest, body, ContentType.JSON),
        "orjson only, lists of floats": partial(orjson.loads, body),
    }
    lines = []
    for name, work in works.items():
        work()
        seconds = []
        for _ in range(size.runs):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
        lines.append(Measurement(who=name, seconds=tuple(seconds)))
    title = f"wct request in JSON, two signals of {size.samples:,} samples, {len(body):,} bytes"
    return Work(title=title, measurements=tuple(lines))


async def load_work(url: str, size: Size) -> Work:
    """Measure many concurrent clients with separate connections, which query without a pause."""
    outcomes: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {}
    memory = [resident_bytes()]
    async with anyio.create_task_group() as tasks:
        for number in range(size.clients):
            tasks.start_soon(_client, url, number, size.seconds, outcomes, seconds)
        for _ in range(4):
            await anyio.sleep(size.seconds / 4)
            memory.append(resident_bytes())
    answered = outcomes.pop("answered", 0)
    told = ", ".join(f"{count} {code}" for code, count in sorted(outcomes.items())) or "no error"
    mib = " ".join(f"{each / 2**20:.0f}" for each in memory)
    title = (
        f"{size.clients} clients, mixed queries for {size.seconds:g} s, {WORKERS} workers: "
        f"{answered} answered, {told}; "
        f"memory of the workers at the start and after each quarter {mib} MiB"
    )
    return Work(title=title, measurements=load_lines(seconds))


def load_lines(seconds: Mapping[str, Sequence[float]]) -> tuple[Measurement, ...]:
    """Return the times of each kind of query under load."""
    return tuple(
        Measurement(
            who=name,
            seconds=tuple(each),
            note=f"99 % within {np.percentile(each, 99) * 1000:.0f} ms",
        )
        for name, each in sorted(seconds.items())
    )


async def _client(
    url: str, number: int, for_s: float, outcomes: Counter[str], seconds: dict[str, list[float]]
) -> None:
    x, y = np.random.default_rng(number).standard_normal((2, 500))
    end = time.perf_counter() + for_s
    # Use new seeds, so that no reply comes from the cache.
    seeds = itertools.count(number * 1_000_000)

    async with connect(url, name=f"bench-{number}", timeout_s=30) as client:
        asks: dict[str, Callable[[], Awaitable[Any]]] = {
            "cwt of 500 samples": partial(client.cwt, x, 1.0, 0.25),
            "wct of 500 samples, 20 pairs": lambda: client.wct(
                x, y, 1.0, 0.25, mc_count=20, seed=next(seeds)
            ),
            "significance, 20 pairs": lambda: client.significance(
                0.5, 0.5, 1.0, 0.25, 2.0, 20, mc_count=20, seed=next(seeds)
            ),
            "health": client.health,
            "backends": client.backends,
        }
        for name in itertools.islice(itertools.cycle(asks), number % 5, None):
            started = time.perf_counter()
            if started >= end:
                return
            try:
                await asks[name]()
                outcomes["answered"] += 1
                seconds.setdefault(name, []).append(time.perf_counter() - started)
            except ContractError as error:
                outcomes[error.code.value] += 1


def resident_bytes() -> int:
    """Return the resident memory of all compute workers of this process, bytes."""
    total = 0
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes()
            status = (folder / "status").read_text() if b"cwt_compute" in command else ""
            if int(status.partition("PPid:")[2].split()[0]) == os.getpid():
                total += int(status.partition("VmRSS:")[2].split()[0]) * 1024
        except (OSError, IndexError):
            continue
    return total


async def measure(size: Size) -> list[Work]:
    """Run all measurements on one system."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        plan = SystemPlan(
            server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=WORKERS,
            log_folder=folder / "logs",
        )  # fmt: skip
        log = command_log(quiet=True)
        async with running_system(plan, log, kill=anyio.Event()) as system:
            return [
                await coherence_work(system.client, size),
                await small_work(system.client, system.server.url, size),
                await busy_work(system.client, system.server.url, size),
                json_work(size),
                await load_work(system.server.url, size),
            ]


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queries", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small run; prints the tables, writes no page"
    )
    parser.add_argument("--output", type=Path, help="file for the page")
    given = parser.parse_args(arguments)
    with threadpool_limits(1):
        works = anyio.run(measure, QUICK if given.quick else FULL)
    command = "python -m benchmarks.queries" + (" --quick" if given.quick else "")
    text = page(works, machine(), versions(), command).replace("# Benchmarks\n", f"{TITLE}\n", 1)
    text = text.replace("`python -m benchmarks --quick`", "`python -m benchmarks.queries --quick`")
    output = given.output or (None if given.quick else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
