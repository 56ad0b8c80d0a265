"""A running system to measure: embedded server, file storage, one process per service."""

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
    """Processes at one time of a run, and the number of windows that wait for a worker."""

    at_s: float
    processes: Mapping[int, Usage]
    windows: int


@dataclass(frozen=True, kw_only=True)
class Played:
    """Data of one run of a device: publication times, results, and samples of the processes."""

    device: Device
    #: Publication time of each chunk, ns since the epoch.
    published_ns: tuple[int, ...]
    arrivals: tuple[Arrival, ...]
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """Time from the first chunk to the last result, s."""
        return (self.arrivals[-1].received_ns - self.published_ns[0]) / 1e9

    @property
    def channel_samples(self) -> int:
        return self.device.count * self.device.chunk * self.device.channels

    def recorded_s(self, fs_hz: float) -> float:
        """Return the duration of the published signal, s."""
        return self.device.count * self.device.chunk / fs_hz

    def chunk_of(self, arrival: Arrival) -> int:
        """Return the index of the chunk with the last sample that a result needed."""
        return (arrival.needed - 1) // self.device.chunk

    def lags_ms(self) -> list[tuple[float, float]]:
        """Return for each result its time in the run, s, and delay after its last sample, ms."""
        first = self.published_ns[0]
        return [
            (
                (each.received_ns - first) / 1e9,
                (each.received_ns - self.published_ns[self.chunk_of(each)]) / 1e6,
            )
            for each in self.arrivals
        ]

    def cores(self) -> dict[str, float]:
        """Return processor seconds per second by role, including processes that have ended."""
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
        """Return the peak resident memory of each role after the fraction `at` of the run, MiB."""
        index = round(at * (len(self.samples) - 1))
        found: dict[str, int] = {}
        for each in self.samples[index].processes.values():
            found[each.role] = max(found.get(each.role, 0), each.resident_bytes >> 20)
        return found


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A running system, and a folder for files of a run."""

    url: str
    client: Client
    folder: Path

    async def play(self, device: Device, *, results: int, limit_s: float = 900) -> Played:
        """Let a device publish, and return after `results` results have arrived."""
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
    """Run a new system while the context is open."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        plan = SystemPlan(
            server=None, folder=folder / "nats", host="127.0.0.1", port=-1, workers=workers,
            log_folder=folder / "logs",
        )  # fmt: skip
        async with running_system(plan, command_log(quiet=True), kill=anyio.Event()) as system:
            yield Bench(url=system.server.url, client=system.client, folder=folder)


class Systems(Protocol):
    """Yield a system with the given number of workers while the context is open."""

    def __call__(self, workers: int) -> AbstractAsyncContextManager[Bench]: ...


@asynccontextmanager
async def shared_bench() -> AsyncIterator[Systems]:
    """Run one system with one worker for all measurements while the context is open.

    For quick runs, which only check that everything works; the figures are meaningless.
    """
    async with bench(1) as system:

        @asynccontextmanager
        async def shared(workers: int) -> AsyncIterator[Bench]:  # noqa: ARG001 - one is enough
            yield system

        yield shared
