"""Translate requests on the bus to driver calls, and their results to replies."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.driver import DeviceInfo, Driver
from cwt_hwbridge.port_config import PortConfig
from cwt_runtime.devices.plans import bank_job, null_job
from cwt_schemas.hwops import (
    HwCheck,
    HwCwtReply,
    HwCwtRequest,
    HwFftReply,
    HwFftRequest,
    HwMcReply,
    HwMcRequest,
    HwOctave,
    HwRequest,
    HwResult,
    HwSelftestReply,
    HwSelftestRequest,
)

__all__ = ["Work", "work_of"]

Work = Callable[[Driver, DeviceInfo, CancellableDeadline], HwResult]

#: Amplitude of noise whose Fourier transforms stay within 16 bits at every step.
FFT_PEAK = 1 << 14


def work_of(request: HwRequest, config: PortConfig) -> Work:
    """Return the work for a request; plans are computed here, outside of the port's thread.

    Raises
    ------
    Unprocessable
        The request is too large for every device.
    """
    if isinstance(request, HwSelftestRequest):
        return partial(_selftest, request, config)
    if isinstance(request, HwFftRequest):
        return partial(_fft, request, config)
    if isinstance(request, HwCwtRequest):
        job = bank_job(request)

        def cwt(driver: Driver, info: DeviceInfo, deadline: CancellableDeadline) -> HwResult:
            started = time.perf_counter()
            result = driver.cwt(job.plan, job.samples, deadline)
            octaves = tuple(
                HwOctave(
                    scales=rows.scales,
                    freqs=rows.freqs,
                    integers=integers,
                    scale=rows.scale,
                    first_sample=rows.first_sample,
                    step=rows.step,
                )
                for rows, integers in zip(job.octaves, job.split(result.outputs), strict=True)
            )
            return HwCwtReply(
                octaves=octaves,
                saturations=result.saturations,
                **_origin(config, info, started),
            )

        return cwt
    if isinstance(request, HwMcRequest):
        null = null_job(request)

        def mc(driver: Driver, info: DeviceInfo, deadline: CancellableDeadline) -> HwResult:
            started = time.perf_counter()
            result = driver.mc(null.plan, deadline)
            return HwMcReply(
                scales=null.scales,
                histograms=result.histograms.astype(np.int32),
                saturations=result.saturations,
                seed=request.seed,
                **_origin(config, info, started),
            )

        return mc
    raise TypeError(f"{type(request).__name__} is not an operation")


def _selftest(
    request: HwSelftestRequest,
    config: PortConfig,
    driver: Driver,
    info: DeviceInfo,
    deadline: CancellableDeadline,
) -> HwResult:
    started = time.perf_counter()
    result = driver.selftest(request.seed, deadline)
    checks = tuple(
        HwCheck(name=each.name, passed=each.passed, detail=each.detail) for each in result.checks
    )
    return HwSelftestReply(
        passed=all(each.passed for each in checks),
        checks=checks,
        seed=request.seed,
        **_origin(config, info, started),
    )


def _fft(
    request: HwFftRequest,
    config: PortConfig,
    driver: Driver,
    info: DeviceInfo,
    deadline: CancellableDeadline,
) -> HwResult:
    started = time.perf_counter()
    peak = float(np.max(np.abs(request.data)))
    per_unit = FFT_PEAK / peak if peak else 1.0
    result = driver.fft((request.data * per_unit).round().astype(np.int16), deadline)
    scale = math.ldexp(1.0, result.exponent) / per_unit
    values = result.values.astype(np.float64) * scale
    return HwFftReply(
        fft=values[:, 0] + 1j * values[:, 1],
        integers=result.values,
        scale=scale,
        **_origin(config, info, started),
    )


def _origin(config: PortConfig, info: DeviceInfo, started: float) -> dict[str, Any]:
    return {
        "device": config.device,
        "kind": config.kind,
        "build_hash": info.build_hash,
        "simulated": info.simulated,
        "computation_time": time.perf_counter() - started,
    }
