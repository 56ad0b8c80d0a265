"""Measure the overhead of the hardware bridge: round trips, processor time, times at every rate.

``python -m benchmarks.hwbridge`` writes docs/benchmarks-hardware.md. The device is the simulated
device of the tests behind a pseudo-terminal, in a separate process that receives and answers at
the pace of a serial line. The benchmark therefore measures link and bridge, but no board. The
computing time of a board is calculated from its clocks, which tests compare with the simulated
design.

The processor time is that of the whole process of the bridge, all threads, as counted by the
kernel between the first and the last progress event of one long transfer. The bytes transferred
in the same time give the load of the line. No value is scaled.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import numpy as np

import pycwt_mod
from benchmarks.machine import machine, versions
from benchmarks.paced_device import BITS, PacedDevice
from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.line import Line
from cwt_hwbridge.model import bank_clocks_per_sample, mc_clocks_per_instant
from cwt_hwbridge.serial_link import open_serial_line
from cwt_hwbridge.tangnano9k import TangNanoDriver
from cwt_runtime.bus import Bus, Subscription
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.devices.plans import bank_job, null_job
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import subjects
from cwt_schemas.codec import decode
from cwt_schemas.errors import ContractError
from cwt_schemas.hardware import HwEvent
from cwt_schemas.hwlink import Feature
from cwt_schemas.hwops import (
    HwCwtReply,
    HwCwtRequest,
    HwInfo,
    HwInfoRequest,
    HwMcRequest,
)
from pycwt_client.request import ask
from tests.hwpeer.peer import DevicePeer, Identity
from tests.hwpeer.pty_device import PtyDevice

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-hardware.md"
CLOCK_HZ = 27_000_000
RATES = (115_200, 1_000_000, 3_000_000)
CWT = HwCwtRequest(
    data=np.random.default_rng(1).standard_normal(1536), dt=1.0, voices=12, s0=4.0, octaves=7,
    timeout_s=600,
)  # fmt: skip
MC = HwMcRequest(al1=0.7, al2=0.4, dj=1 / 12, s0=8.0, rows=12, pairs=300, timeout_s=600)


INTRODUCTION = """\
# Benchmarks of the hardware bridge

`make bench-hardware` measured the figures and wrote this page. No board was available. The device
is the simulated device of the tests, in its own process behind a pseudo-terminal, and its replies
take as long as on a line of 3 Mbaud. The processor time is that of the whole bridge during one long
transfer at that pace, between two progress events. It is not scaled to a full line."""
EVERY_OPERATION = """\
## Every operation at every rate

Bytes are counted on the line. "computing" is calculated from the clocks of the gateware at 27 MHz,
which tests compare with the simulated design. The column of a rate is the time on the line plus the
computing time. "library" is the median of 5 runs of the same operation with `pycwt_mod` on one core
of this machine."""


class CountingLine:
    """A line that counts its bytes."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.sent = self.received = 0

    @property
    def baud(self) -> int:
        return self._line.baud

    def read(self, timeout_s: float) -> bytes:
        data = self._line.read(timeout_s)
        self.received += len(data)
        return data

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        self._line.write(data)

    def set_baud(self, baud: int) -> None:
        self._line.set_baud(baud)

    def close(self) -> None:
        self._line.close()


@dataclass(frozen=True)
class Figures:
    """Measurements of the bridge as a process."""

    round_trips_s: list[float]
    bulk_s: float
    bulk_bytes: int
    bulk_cpu_s: float


def own_identity(*extra: Feature) -> Identity:
    own = (Feature.FIR, Feature.SELFTEST, Feature.MC, Feature.BAUD, *extra)
    return Identity(features=sum(own))


def twin(path: str) -> None:
    """Run the simulated device until killed; print a line when it is ready."""
    with PacedDevice(Path(path), DevicePeer(own_identity())):
        print("ready", flush=True)
        sys.stdin.read()


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        yield child
    finally:
        child.terminate()
        child.communicate(timeout=30)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process so far, in s with a resolution of 1 ns."""
    # As clock_getcpuclockid(3) on Linux; the resolution of /proc is only 0.01 s.
    return time.clock_gettime((~pid << 3) | 2)


async def with_bridge(trips: int, samples: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        port = f"{folder}/fpga"
        async with start_server(Path(folder) / "nats") as server:
            with process("benchmarks.hwbridge", "--twin", port) as device:
                assert device.stdout is not None
                device.stdout.readline()
                settings = {
                    "CWT_NATS_URL": server.url,
                    "CWT_HW_PORTS": f"fpga0=tangnano9k:{port}",
                }
                with process("cwt_hwbridge", **settings) as bridge:
                    async with connect_bus(server.url, name="bench", log=logger("bench")) as bus:
                        await started(bus)
                        return await measured(bus, bridge.pid, trips, samples)


async def started(bus: Bus) -> None:
    for _ in range(100):
        try:
            await info(bus)
        except ContractError:  # the bridge is still starting
            await asyncio.sleep(0.1)
        else:
            return
    raise RuntimeError("the bridge did not come up")


async def info(bus: Bus) -> HwInfo:
    subject = subjects.hw("fpga0", "info")
    return await ask(bus, subject, HwInfoRequest(), HwInfo, timeout_s=30)


async def measured(bus: Bus, pid: int, trips: int, samples: int) -> Figures:
    times = []
    for _ in range(trips):
        before = time.perf_counter()
        await info(bus)
        times.append(time.perf_counter() - before)
    first, last = await progress(bus, pid, samples)
    return Figures(
        round_trips_s=times, bulk_s=last.at_s - first.at_s, bulk_bytes=4 * (last.done - first.done),
        bulk_cpu_s=last.cpu_s - first.cpu_s,
    )  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """Progress of a transfer, with the processor time so far."""

    at_s: float
    cpu_s: float
    done: int


async def progress(bus: Bus, pid: int, samples: int) -> tuple[Mark, Mark]:
    """Return the first and the last mark of one long transfer."""
    data = np.random.default_rng(2).standard_normal(samples)
    request = HwCwtRequest(data=data, dt=1.0, voices=8, s0=4.0, octaves=1, timeout_s=600)
    marks: list[Mark] = []

    async def listen(messages: Subscription) -> None:
        async for message in messages:
            done = decode(HwEvent, message.data).done
            if done is not None:
                marks.append(Mark(time.perf_counter(), cpu_s(pid), done))

    async with bus.subscribe(subjects.HW_EVENTS) as messages, anyio.create_task_group() as tasks:
        tasks.start_soon(listen, messages)
        await ask(bus, subjects.hw("fpga0", "cwt"), request, HwCwtReply, timeout_s=600)
        tasks.cancel_scope.cancel()
    return marks[0], marks[-1]


@dataclass(frozen=True)
class Cost:
    """Bytes and computing time of an operation on the device, and its time in the library."""

    name: str
    sent: int
    received: int
    device_s: float
    cpu_s: float

    def seconds(self, baud: int) -> float:
        """Return the time on a board, s, with both directions of the line in use concurrently."""
        return max(self.sent, self.received) * BITS / baud + self.device_s


def costs() -> list[Cost]:
    """Count the bytes of every operation, with the twin in this process."""
    # Simulated devices have longer timeouts: the twin computes with the integer model.
    slow = DevicePeer(own_identity(Feature.SIMULATED))
    with (
        tempfile.TemporaryDirectory() as folder,
        PtyDevice(Path(folder) / "fpga", slow) as device,
    ):
        line = CountingLine(open_serial_line(str(device.path)))
        driver = TangNanoDriver()
        driver.open(line, CancellableDeadline(60))
        bank, null = bank_job(CWT), null_job(MC)
        operations = []
        for name, work, device_s, library in (
            (
                "`cwt`, 1536 samples, 84 rows in 7 octaves",
                partial(driver.cwt, bank.plan, bank.samples),
                bank_clocks_per_sample(bank.plan) * len(bank.samples) / CLOCK_HZ,
                partial(pycwt_mod.cwt, CWT.data, 1.0, dj=1 / 12, s0=4.0, J=83),
            ),
            (
                "`mc`, one octave of 12 rows, 300 pairs",
                partial(driver.mc, null.plan),
                mc_clocks_per_instant(null.plan)
                * (null.plan.start.instants + null.plan.start.warmup)
                / CLOCK_HZ,
                partial(library_octave),
            ),
        ):
            before = (line.sent, line.received)
            work(CancellableDeadline(600))
            operations.append(
                Cost(
                    name,
                    line.sent - before[0],
                    line.received - before[1],
                    device_s,
                    best_of(library),
                )
            )
        driver.close()
        line.close()
    return operations


def library_octave() -> object:
    """Simulate the same octave with the library's sequential backend."""
    from pycwt_mod.significance.simulation import surrogate_octave
    from pycwt_mod.significance.surrogates import SurrogateTask, run_task
    from pycwt_mod.smoothing import ScaleBoxcar
    from pycwt_mod.wavelets import Morlet

    wavelet = Morlet()
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, MC.dj, "standard")
    scales = tuple(8.0 * 2 ** (k * MC.dj) for k in range(boxcar.first, 12 + boxcar.last))
    kept = (-boxcar.first, 12 - boxcar.first)
    rows = surrogate_octave(wavelet, scales, kept, boxcar, MC.al1, MC.al2)
    return run_task(SurrogateTask(rows=rows, pairs=MC.pairs, entropy=1, spawn_key=(0, 0)))


def best_of(work: Callable[[], object], runs: int = 5) -> float:
    work()
    times = []
    for _ in range(runs):
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def page(figures: Figures, operations: list[Cost]) -> str:
    trips = sorted(figures.round_trips_s)
    p50, p99 = statistics.median(trips), trips[int(0.99 * (len(trips) - 1))]
    share = BITS * figures.bulk_bytes / 3_000_000 / figures.bulk_s
    load = figures.bulk_cpu_s / figures.bulk_s
    bridge = [
        ("round trip of a status of 36 bytes through bus, bridge and line, p50",
         f"{p50 * 1e3:.2f} ms"),
        ("the same, p99", f"{p99 * 1e3:.2f} ms"),
        ("share of a line of 3 Mbaud used by outputs in a bulk transfer", f"{share:.0%}"),
        ("processor time of the bridge during that transfer, all threads", f"{load:.1%} of a core"),
    ]  # fmt: skip
    rows = [
        (
            each.name, f"{each.sent:,}", f"{each.received:,}", f"{each.device_s:.2f} s",
            *(f"{each.seconds(baud):.2f} s" for baud in RATES), f"{each.cpu_s * 1e3:.1f} ms",
        )
        for each in operations
    ]  # fmt: skip
    head = ("operation", "bytes to", "bytes from", "computing", "115,200", "1 M", "3 M", "library")
    parts = (
        INTRODUCTION,
        "## Machine",
        table(("", ""), list(machine().items())),
        "## Versions",
        table(("", ""), list(versions().items())),
        "## The bridge",
        table(("", ""), bridge),
        EVERY_OPERATION,
        table(head, rows),
    )
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--twin", help="run the simulated device at this path")
    options.add_argument("--quick", action="store_true", help="small run; prints the page")
    given = options.parse_args()
    if given.twin:
        twin(given.twin)
        return
    trips, samples = (50, 50_000) if given.quick else (1000, 100_000)
    text = page(asyncio.run(with_bridge(trips, samples)), costs())
    if given.quick:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
