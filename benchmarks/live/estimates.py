"""Latency of provisional estimates, from publishing the newest sample to receiving the estimate."""

from __future__ import annotations

import time
from dataclasses import dataclass

import anyio
import numpy as np
from numpy.typing import NDArray

from benchmarks.live.bench import Bench, Systems
from benchmarks.live.device import Device, running_device
from benchmarks.live.figures import Figure, Section
from cwt_schemas.provisional import ProvisionalEstimate
from cwt_schemas.stream import StreamDefinition

__all__ = ["estimates"]

FS = 1000.0
CHUNK = 20
WORKERS = 2
HOP_S = 0.1


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Latencies of one run, ms."""

    received: NDArray[np.float64]
    sent: NDArray[np.float64]
    #: From publishing a sample to receiving its final value, by octave.
    final: dict[int, NDArray[np.float64]]
    missed: int


async def estimates(systems: Systems, seconds: float, warm_s: float, runs: int) -> Section:
    """Measure runs on one system; estimates of the first `warm_s` seconds do not count."""
    async with systems(WORKERS) as system:
        measured = [await _run(system, number, seconds, warm_s) for number in range(runs)]
    text = (
        f"Two channels at 1 kHz in chunks of {1000 * CHUNK / FS:g} ms: amplitude and phase with "
        f"their 95 % intervals at delay 0, 12 voices in 4 octaves, in addition to results of "
        f"power with `hop_s` {HOP_S:g}; {WORKERS} workers, {seconds:g} s per run, read with "
        "`pycwt_client`. The final value of a sample comes when the wavelet's future half and the "
        "rest of the tile have arrived; its latency is that of the newest column of each result."
    )
    half = [float(np.percentile(run.received, 50)) for run in measured]
    figures = [
        Figure(
            what=f"estimate, p{percent}",
            values=tuple(float(np.percentile(run.received, percent)) for run in measured),
            unit="ms", target=f"<= {limit} ms",
            note=f"{len(measured[0].received)} estimates, {measured[0].missed} chunks without",
        )
        for percent, limit in ((50, 5), (99, 15))
    ]  # fmt: skip
    figures.append(
        Figure(
            what="until ingest has sent the samples, median",
            values=tuple(float(np.median(run.sent)) for run in measured),
            unit="ms",
        )
    )
    for octave in sorted(set.intersection(*(set(run.final) for run in measured))):
        final = [float(np.median(run.final[octave])) for run in measured]
        ratios = ", ".join(f"{late / early:.0f}" for late, early in zip(final, half, strict=True))
        figures.append(
            Figure(
                what=f"final value, octave {octave}, median",
                values=tuple(final),
                unit="ms",
                note=f"{ratios} x as long as the estimate",
            )
        )
    return Section(title="Provisional estimates", text=text, figures=tuple(figures))


def stream(name: str) -> StreamDefinition:
    """Return the stream: power with estimates at delay 0."""
    analysis = {
        "name": "power", "op": "cwt", "channels": ["x", "y"], "fmin_hz": 6.3, "fmax_hz": 100.0,
        "hop_s": HOP_S, "quantity": "power", "provisional": {"delay_s": 0.0},
    }  # fmt: skip
    return StreamDefinition.model_validate(
        {"name": name, "fs_hz": FS, "channels": [{"name": "x"}, {"name": "y"}],
         "analyses": [analysis]}
    )  # fmt: skip


async def _run(system: Bench, number: int, seconds: float, warm_s: float) -> _Run:
    name = f"estimates-{number}"
    device = Device(
        url=system.url, stream=name, channels=2, chunk=CHUNK, count=int(seconds * FS / CHUNK),
        every_s=CHUNK / FS,
    )  # fmt: skip
    await system.client.put_stream(stream(name))
    arrived: list[tuple[ProvisionalEstimate, int]] = []
    finals: list[tuple[int, int, int]] = []
    async with (
        system.client.now(name) as now,
        system.client.results(name) as results,
        anyio.create_task_group() as tasks,
    ):

        async def read_estimates() -> None:
            async for each in now:
                arrived.append((each, time.time_ns()))  # noqa: PERF401 - at its time

        async def read_results() -> None:
            async for each in results:
                last = each.t.first_sample + each.t.step * (each.t.n - 1)
                finals.append((each.octave, last, time.time_ns()))

        tasks.start_soon(read_estimates)
        tasks.start_soon(read_results)
        with running_device(device, system.folder) as running:
            running.go()
            with anyio.fail_after(seconds + 60):
                await running.finished()
                await anyio.sleep(1)  # for the last estimate, if there is one
            published = running.times_ns()
        tasks.cancel_scope.cancel()
    await system.client.delete_stream(name)
    return _measured(arrived, finals, published, warm_s)


def _measured(
    arrived: list[tuple[ProvisionalEstimate, int]],
    finals: list[tuple[int, int, int]],
    published: NDArray[np.int64],
    warm_s: float,
) -> _Run:
    warm = warm_s * FS
    counted = [(each, at) for each, at in arrived if each.newest_sample >= warm]
    since = [int(published[each.newest_sample // CHUNK]) for each, _ in counted]
    octaves = sorted({octave for octave, _, _ in finals})
    return _Run(
        received=np.array([at for _, at in counted]) / 1e6 - np.array(since) / 1e6,
        sent=np.array([each.times_ns.sent for each, _ in counted]) / 1e6 - np.array(since) / 1e6,
        final={
            octave: np.array(
                [(at - int(published[last // CHUNK])) / 1e6
                 for number, last, at in finals if number == octave]
            )
            for octave in octaves
        },
        missed=len(published) - int(warm / CHUNK) - len(counted),
    )  # fmt: skip
