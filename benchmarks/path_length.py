"""``python -m benchmarks.path_length``: count the source files that a value passes.

Starts the system with every process traced, and counts the distinct source files of the project
that all processes enter from the moment a chunk is published, a query is sent or a job is
submitted until its result is received. Unrelated entries are left out: processes that enter only
files that they also enter when idle, and files that only some of the rounds enter.
"""

from __future__ import annotations

import argparse
import mmap
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import numpy as np

from benchmarks import path_tracer
from cwt_cli.shell import command_log
from cwt_cli.system import SystemPlan, running_system
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Client

ROUNDS = 9
#: Idle time in which every periodic action of a process occurs.
IDLE_S = 6.0
#: Fraction of the rounds that must enter a file for it to belong to the path.
MAJORITY = 0.7
FS_HZ, HOP_S = 100, 0.5
DEFINITION = StreamDefinition(
    name="traced",
    fs_hz=FS_HZ,
    channels=(Channel(name="x"), Channel(name="y")),
    analyses=(
        AnalysisSpec(
            name="coherence", op="wct", pairs=(("x", "y"),), fmin_hz=10, fmax_hz=16, hop_s=HOP_S,
            quantity="coherence",
        ),
    ),
)  # fmt: skip

Round = Callable[[], Awaitable[None]]


class Trace:
    """The folder to which traced processes write, and the flag that they check."""

    def __init__(self, folder: Path) -> None:
        self._entered = folder / "entered"
        self._entered.touch()
        (folder / "phase").write_bytes(b"\0")
        (folder / "sitecustomize.py").write_text(
            "from benchmarks.path_tracer import install\ninstall()\n", encoding="utf-8"
        )
        os.environ[path_tracer.VARIABLE] = str(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join((str(folder), path_tracer.ROOT))
        with (folder / "phase").open("r+b") as file:
            self._phase = mmap.mmap(file.fileno(), 1)
        self._last = 0
        path_tracer.install()

    @contextmanager
    def recording(self) -> Iterator[int]:
        """Record while the context is open; yield the number of the round."""
        self._last += 1
        self._phase[0] = self._last
        try:
            yield self._last
        finally:
            self._phase[0] = 0

    def files(self, rounds: list[int], idle: int) -> list[str]:
        """Return the files that most of `rounds` entered, except those of the round `idle`."""
        entries: dict[tuple[int, int], set[str]] = defaultdict(set)
        for line in self._entered.read_text(encoding="utf-8").splitlines():
            number, pid, name = line.split(" ", 2)
            entries[int(number), int(pid)].add(name)
        passed = {
            (number, name)
            for (number, pid), names in entries.items()
            if number in rounds and not names <= entries.get((idle, pid), set())
            for name in names
        }
        counts = Counter(name for _, name in passed)
        return sorted(name for name, n in counts.items() if n >= MAJORITY * len(rounds))


@asynccontextmanager
async def chunks(client: Client) -> AsyncIterator[Round]:
    """Publish one hop of samples and wait for its result."""
    rng = np.random.default_rng(0)
    await client.put_stream(DEFINITION)
    async with (
        client.publisher(DEFINITION.name) as publisher,
        client.results(DEFINITION.name) as results,
    ):

        async def publish() -> None:
            await publisher.publish(rng.standard_normal((round(HOP_S * FS_HZ), 2)))
            await publisher.flush()

        with anyio.move_on_after(10):
            for _ in range(12):
                await publish()
            while True:
                await anext(results)

        async def once() -> None:
            await publish()
            with anyio.fail_after(30):
                await anext(results)

        yield once


@asynccontextmanager
async def queries(client: Client) -> AsyncIterator[Round]:
    """Query the coherence of two new signals."""
    rng = np.random.default_rng(1)

    async def once() -> None:
        one, other = rng.standard_normal((2, 300))
        await client.wct(one, other, 1.0, mc_count=10)

    yield once


@asynccontextmanager
async def jobs(client: Client) -> AsyncIterator[Round]:
    """Submit a job of one coherence and wait for its result."""
    rng = np.random.default_rng(2)

    async def once() -> None:
        one, other = rng.standard_normal((2, 300))
        task = {"type": "wct", "dt": 1.0, "signal1": one, "signal2": other, "mc_count": 10}
        job = await client.submit([task])
        async for _ in job.results():
            pass

    yield once


#: Paths to record; the first ones run without any stream, so that ingest has nothing to follow.
PATHS = {
    "a wct query to its reply": queries,
    "a job of one wct task to its result": jobs,
    "a chunk to its result": chunks,
}


async def measure(trace: Trace, folder: Path) -> dict[str, list[str]]:
    """Return the files of each path."""
    plan = SystemPlan(
        server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=1,
        log_folder=folder / "logs",
    )  # fmt: skip
    paths: dict[str, list[str]] = {}
    async with running_system(plan, command_log(quiet=True), kill=anyio.Event()) as system:
        for name, path in PATHS.items():
            async with path(system.client) as once:
                await once()
                with trace.recording() as idle:
                    await anyio.sleep(IDLE_S)
                rounds: list[int] = []
                for _ in range(ROUNDS):
                    with trace.recording() as number:
                        await once()
                    rounds.append(number)
            paths[name] = trace.files(rounds, idle)
    return paths


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.path_length", description=__doc__)
    parser.add_argument("--files", action="store_true", help="list the files too")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="path-length-") as name:
        folder = Path(name)
        paths = anyio.run(measure, Trace(folder), folder)
    for path, files in paths.items():
        print(f"{len(files):3} files: {path}")
        if given.files:
            print("".join(f"      {file}\n" for file in files))


if __name__ == "__main__":
    main()
