"""``python -m benchmarks.jobs``: share of the cores' time that a job of many small tasks computes.

The library's share is the processor time of the same calls, made by joblib in the same number of
processes in the same run, divided by the processor time available while the job ran.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import anyio
import anyio.to_thread
import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import pycwt_mod
from benchmarks.machine import machine, versions
from benchmarks.measurement import Measurement, Work
from benchmarks.report import page
from cwt_cli.shell import command_log
from cwt_cli.system import SystemPlan, running_system
from pycwt_client import Client

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-jobs.md"
TITLE = "# Benchmarks of jobs"
CORES = os.cpu_count() or 1
#: Programs of the system by a part of their command line; the first match applies.
PROGRAMS = {
    "compute processes": "cwt_compute.process_main",
    "workers": "cwt_compute",
    "server": "nats-server",
}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Pair = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Amount of work to measure."""

    tasks: int
    samples: int
    mc_count: int
    runs: int
    #: Number of workers of the system, and of joblib.
    processes: int = CORES


FULL = Size(tasks=1000, samples=500, mc_count=100, runs=3)
QUICK = Size(tasks=6, samples=100, mc_count=10, runs=1, processes=1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of all tasks: wall time, and processor time by program."""

    seconds: float
    cpu: dict[str, float]


def one_task(pair: Pair, seed: int, mc_count: int) -> float:
    """Compute a coherence with its level; return the processor time of the call."""
    started = time.process_time()
    pycwt_mod.wct(pair[0], pair[1], 1.0, 0.25, mc_count=mc_count, seed=seed)
    return time.process_time() - started


def by_joblib(pairs: Sequence[Pair], size: Size) -> Run:
    """Compute all tasks with joblib."""
    started = time.perf_counter()
    each = joblib.Parallel(n_jobs=size.processes)(
        joblib.delayed(one_task)(pair, seed, size.mc_count) for seed, pair in enumerate(pairs)
    )
    return Run(seconds=time.perf_counter() - started, cpu={"library": sum(each)})


async def by_job(client: Client, pairs: Sequence[Pair], size: Size, turn: int) -> Run:
    """Compute all tasks as a job."""
    tasks = [
        {
            "type": "wct",
            "dt": 1.0,
            "signal1": pair[0],
            "signal2": pair[1],
            "mc_count": size.mc_count,
            "seed": seed,
        }
        for seed, pair in enumerate(pairs)
    ]
    before, started = cpu_seconds(), time.perf_counter()
    job = await client.submit(tasks, job_id=f"bench-{turn}")
    state = await job.wait()
    seconds = time.perf_counter() - started
    if state.done != size.tasks:
        raise RuntimeError(f"{state.done} of {size.tasks} tasks were done: {state.status}")
    after = cpu_seconds()
    return Run(seconds=seconds, cpu={name: after[name] - before[name] for name in PROGRAMS})


def cpu_seconds() -> dict[str, float]:
    """Return the processor time so far of the child processes, by program."""
    seconds = dict.fromkeys(PROGRAMS, 0.0)
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(folder.name)] = (command, int(fields[1]), int(fields[11]) + int(fields[12]))
    parents = {pid: parent for pid, (_, parent, _) in stats.items()}
    for pid, (command, _, ticks) in stats.items():
        name = next((name for name, part in PROGRAMS.items() if part in command), None)
        if name is not None and os.getpid() in _above(pid, parents):
            seconds[name] += ticks / TICKS_PER_S
    return seconds


def _above(pid: int, parents: Mapping[int, int]) -> set[int]:
    found: set[int] = set()
    while pid in parents and parents[pid] not in found:
        pid = parents[pid]
        found.add(pid)
    return found


async def measure(size: Size) -> list[Work]:
    """Measure all tasks as a job and with joblib, in turns, after an uncounted turn."""
    rng = np.random.default_rng(3)
    pairs = list(rng.standard_normal((size.tasks, 2, size.samples)))
    jobs: list[Run] = []
    peers: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        plan = SystemPlan(
            server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=size.processes,
            log_folder=folder / "logs",
        )  # fmt: skip
        async with running_system(plan, command_log(quiet=True), kill=anyio.Event()) as system:
            few = pairs[: 2 * size.processes]
            warm = replace(size, tasks=len(few), mc_count=5)
            await by_job(system.client, few, warm, -1)
            by_joblib(few, warm)
            for turn in range(size.runs):
                jobs.append(await by_job(system.client, pairs, size, turn))
                peers.append(await anyio.to_thread.run_sync(by_joblib, pairs, size))
    return [compared(size, jobs, peers)]


def compared(size: Size, jobs: Sequence[Run], peers: Sequence[Run]) -> Work:
    """Compare the two, with the library's share of the cores' time."""
    # Use the time of the same calls, made by the peer in the same turn.
    library = [run.cpu["library"] for run in peers]

    def share(runs: Sequence[Run]) -> str:
        shares = [
            calls / (size.processes * run.seconds) for calls, run in zip(library, runs, strict=True)
        ]
        middle, low, high = statistics.median(shares), min(shares), max(shares)
        between = f" ({low:.3f} to {high:.3f})" if len(shares) > 1 else ""
        return f"{middle:.3f}{between} of the cores' time is spent in the library"

    spent = {name: statistics.median(run.cpu[name] for run in jobs) for name in PROGRAMS}
    per_task = ", ".join(
        f"{name} {1000 * seconds / size.tasks:.1f} ms" for name, seconds in spent.items()
    )
    lines = (
        Measurement(
            who=f"a job, {size.processes} workers",
            seconds=tuple(run.seconds for run in jobs),
            note=f"{share(jobs)}; processor time per task: {per_task}",
        ),
        Measurement(
            who=f"joblib {version('joblib')}, {size.processes} processes, pycwt_mod.wct",
            seconds=tuple(run.seconds for run in peers),
            note=f"{share(peers)}: {1000 * statistics.median(library) / size.tasks:.1f} ms per "
            "task; results are not stored, and a failing process ends the run",
        ),
    )
    title = f"{size.tasks} tasks: wct of {size.samples} samples, level of {size.mc_count} pairs"
    return Work(title=title, measurements=lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small run; prints the tables, writes no page"
    )
    parser.add_argument("--tasks", type=int, help="number of tasks (default: 1000)")
    parser.add_argument("--runs", type=int, help="number of runs (default: 3)")
    parser.add_argument("--output", type=Path, help="file for the page")
    given = parser.parse_args(arguments)
    size = QUICK if given.quick else FULL
    size = replace(size, tasks=given.tasks or size.tasks, runs=given.runs or size.runs)
    with threadpool_limits(1):
        works = anyio.run(measure, size)
    command = "python -m benchmarks.jobs" + (" --quick" if given.quick else "")
    text = page(works, machine(), versions(), command).replace("# Benchmarks\n", f"{TITLE}\n", 1)
    text = text.replace("`python -m benchmarks --quick`", "`python -m benchmarks.jobs --quick`")
    output = given.output or (None if given.quick or given.tasks or given.runs else PAGE)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
