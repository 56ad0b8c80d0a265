"""Benchmark of the backends: the same coherence on each, in alternating runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import pycwt_mod
from cwt_compute.queries.cost import check_simulation, scale_count
from cwt_compute.queries.simulation import FALLBACK, chosen_backend
from cwt_compute.queries.transforms import answer_wct
from cwt_schemas.errors import ContractError
from cwt_schemas.message import clipped
from cwt_schemas.query import BackendTiming, BenchmarkReply, BenchmarkRequest, WctRequest

__all__ = ["answer_benchmark"]

#: The backend to which the others are compared; it always runs.
REFERENCE = FALLBACK
#: Number of timed runs. An untimed run before them starts processes and fills caches.
RUNS = 3
#: Seed of the signals and surrogates, so that the task is the same on every worker.
SEED = 20_240_101
#: Lag-1 coefficient of the signals, which are red noise.
LAG1 = 0.7

Level = NDArray[np.floating]


def answer_benchmark(request: BenchmarkRequest, *, n_jobs: int = 1) -> BenchmarkReply:
    """Return the time of each backend for the same coherence and its threshold.

    Parallel backends use at most `n_jobs` jobs.
    """
    task = _task(request)
    names = (REFERENCE, *(name for name in request.backends if name != REFERENCE))
    check_simulation(
        rows=scale_count(task), dj=task.dj, mc_count=task.mc_count, runs=(RUNS + 1) * len(names)
    )
    refused = {name: error for name in names if (error := _refusal(name)) is not None}
    runnable = [name for name in names if name not in refused]
    timings, levels = _measured(runnable, lambda name: _run(task, name, n_jobs))
    results = {name: refused.get(name) or _timing(name, timings, levels) for name in names}
    return BenchmarkReply(
        signal_length=request.signal_length, mc_count=request.mc_count, results=results
    )


def _task(request: BenchmarkRequest) -> WctRequest:
    signals = [pycwt_mod.rednoise(request.signal_length, LAG1, rng=SEED + i) for i in range(2)]
    return WctRequest(
        signal1=signals[0],
        signal2=signals[1],
        dt=1.0,
        mc_count=request.mc_count,
        seed=SEED,
        convention=request.convention,
        dtype=request.dtype,
    )


def _refusal(name: str) -> BackendTiming | None:
    try:
        chosen_backend(name, fallback=False)
    except ContractError as error:
        return BackendTiming(status="unavailable", error=clipped(error.message))
    return None


def _run(task: WctRequest, name: str, n_jobs: int) -> Level:
    reply = answer_wct(task.model_copy(update={"backend": name}), n_jobs=n_jobs)
    return np.asarray(reply.signif)


def _measured(
    names: list[str], run: Callable[[str], Level]
) -> tuple[dict[str, list[float]], dict[str, Level | str]]:
    """Return the seconds of each timed run, and the threshold of each backend or its error."""
    timings: dict[str, list[float]] = {name: [] for name in names}
    levels: dict[str, Level | str] = {}
    for turn in range(RUNS + 1):
        for name in names:
            if isinstance(levels.get(name), str):
                continue
            started = time.perf_counter()
            try:
                levels[name] = run(name)
            except Exception as error:  # noqa: BLE001 - an external backend; its error is the result
                levels[name] = f"{type(error).__name__} while it computed"
            if turn:
                timings[name].append(time.perf_counter() - started)
    return timings, levels


def _timing(
    name: str, timings: dict[str, list[float]], levels: dict[str, Level | str]
) -> BackendTiming:
    level, reference = levels[name], levels[REFERENCE]
    if isinstance(level, str):
        return BackendTiming(status="failed", error=level)
    seconds = statistics.median(timings[name])
    if isinstance(reference, str):
        return BackendTiming(status="ok", computation_time=seconds)
    return BackendTiming(
        status="ok",
        computation_time=seconds,
        speedup=statistics.median(timings[REFERENCE]) / seconds,
        max_difference=float(np.nanmax(np.abs(level - reference))),
    )
