"""A running system to measure: embedded server, file storage, every service a process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio

from benchmarks.live.device import Device, running_device
from benchmarks.live.processes import Usage, usage
from benchmarks.live.results import Arrival, arrivals
from cwt_cli.shell import command_log
from cwt_cli.system import SystemPlan, running_system
from cwt_schemas import storage
from pycwt_client import Client

__all__ = ["Bench", "Played", "Sample", "Systems", "bench", "shared_bench"]

POLL_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The processes at one moment of a run, and how many windows wait for a worker."""

    at_s: float
    processes: Mapping[int, Usage]
    windows: int


@dataclass(frozen=True, kw_only=True)
class Played:
    """What a device's playing gave: its times, every result, and the processes meanwhile."""

    device: Device
    #: When each chunk was published, ns since the epoch.
    published_ns: tuple[int, ...]
    arrivals: tuple[Arrival, ...]
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """From the first chunk to the last result."""
        return (self.arrivals[-1].received_ns - self.published_ns[0]) / 1e9

    @property
    def channel_samples(self) -> int:
        return self.device.count * self.device.chunk * self.device.channels

    def chunk_of(self, arrival: Arrival) -> int:
        """Return which chunk brought the last sample that a result needed."""
        return (arrival.needed - 1) // self.device.chunk

    def lags_ms(self) -> list[tuple[float, float]]:
        """Return for each result seconds of the run, and ms since its last sample was published."""
        first = self.published_ns[0]
        return [
            (
                (each.received_ns - first) / 1e9,
                (each.received_ns - self.published_ns[self.chunk_of(each)]) / 1e6,
            )
            for each in self.arrivals
        ]

    def cores(self) -> dict[str, float]:
        """Return processor seconds per second of the run, by role; who ended meanwhile counts."""
        begin, end = dict[int, float](), dict[int, Usage]()
        for sample in self.samples:
            for pid, each in sample.processes.items():
                begin.setdefault(pid, each.cpu_s)
                end[pid] = each
        found: dict[str, float] = {}
        for pid, last in end.items():
            spent = (last.cpu_s - begin[pid]) / self.samples[-1].at_s
            found[last.role] = found.get(last.role, 0.0) + spent
        return found

    def memory_mib(self, at: float) -> dict[str, int]:
        """Return the largest resident memory of each role after the part `at` of the run, MiB."""
        index = round(at * (len(self.samples) - 1))
        found: dict[str, int] = {}
        for each in self.samples[index].processes.values():
            found[each.role] = max(found.get(each.role, 0), each.resident_bytes >> 20)
        return found


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A system that answers, and a folder for what a run leaves behind."""

    url: str
    client: Client
    folder: Path

    async def play(self, device: Device, *, results: int, limit_s: float = 900) -> Played:
        """Let a device publish, and return when `results` results are there."""
        samples: list[Sample] = []
        async with arrivals(self.url, device.stream) as found:
            with running_device(device, self.folder) as running:
                running.go()
                samples.append(await self._sample(0.0))
                started = time.perf_counter()
                with anyio.fail_after(limit_s):
                    while not running.done or len(found) < results:
                        await anyio.sleep(POLL_S)
                        samples.append(await self._sample(time.perf_counter() - started))
                times = running.times_ns()
        return Played(
            device=device,
            published_ns=tuple(int(each) for each in times),
            arrivals=tuple(found),
            samples=tuple(samples),
        )

    async def _sample(self, at_s: float) -> Sample:
        log = self.client.bus.log
        backlog = await log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
        waiting = backlog.waiting + backlog.in_flight
        return Sample(at_s=at_s, processes=usage(), windows=waiting)


@asynccontextmanager
async def bench(workers: int) -> AsyncIterator[Bench]:
    """Run a fresh system while the context is open."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        plan = SystemPlan(
            server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=workers,
            log_folder=folder / "logs",
        )  # fmt: skip
        async with running_system(plan, command_log(quiet=True), kill=anyio.Event()) as system:
            yield Bench(url=system.server.url, client=system.client, folder=folder)


class Systems(Protocol):
    """Yields a system with the given number of workers while the context is open."""

    def __call__(self, workers: int) -> AbstractAsyncContextManager[Bench]: ...


@asynccontextmanager
async def shared_bench() -> AsyncIterator[Systems]:
    """Run one system with one worker for everything that is measured while the context is open.

    It starts once, and its figures mean nothing: a quick run only tries whether all works.
    """
    async with bench(1) as system:

        @asynccontextmanager
        async def shared(workers: int) -> AsyncIterator[Bench]:  # noqa: ARG001 - one is enough
            yield system

        yield shared
