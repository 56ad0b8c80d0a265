"""Transforms of whole signals."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import pycwt_mod
from pycwt_mod.significance import Cache as Levels
from schemas.limits import MAX_QUERY_COST_S
from schemas.query import (
    CwtReply,
    CwtRequest,
    Lag1Estimate,
    PairRequest,
    TransformRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from services.compute.queries.backends import is_exact
from services.compute.queries.refusals import library_refusals
from services.compute.queries.simulation import jobs_for, simulation_of
from services.compute.queries.sizes import MAX_COMPUTE_BYTES, reply_numbers, scale_count
from services.runtime.analysis import wavelet_of
from services.runtime.rpc.request_context import request_context

__all__ = ["answer_cwt", "answer_wct", "answer_xwt"]

#: Of float64, the larger of the two precisions.
NUMBER_BYTES = 8

Values = TypeVar("Values", bound=NDArray[Any])


def answer_cwt(request: CwtRequest) -> CwtReply:
    """Return the wavelet transform of one signal."""
    started = time.perf_counter()
    with library_refusals("data"):
        found = pycwt_mod.cwt(_cast(request.data, request), **_arguments(request))
        return CwtReply(
            wave=_missing(found.coefs, found.mask),
            scales=found.scales,
            freqs=found.freqs,
            coi=found.coi,
            fft=found.fft,
            fftfreqs=found.fftfreqs,
            computation_time=time.perf_counter() - started,
        )


def answer_xwt(request: XwtRequest) -> XwtReply:
    """Return the cross-wavelet transform of two signals."""
    started = time.perf_counter()
    with library_refusals("signal1"):
        found = pycwt_mod.xwt(
            *_pair(request), **_arguments(request), significance_level=request.significance_level
        )
        cross = _missing(found.cross, found.mask)
        return XwtReply(
            xwt=cross,
            phase=np.angle(cross),
            coi=found.coi,
            freqs=found.freqs,
            signif=found.signif.astype(request.dtype),
            lag1=_lag1(found),
            computation_time=time.perf_counter() - started,
        )


def answer_wct(
    request: WctRequest,
    *,
    n_jobs: int = 1,
    levels: Levels | None = None,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> WctReply:
    """Return the wavelet coherence of two signals, with its level unless none was asked for.

    A backend that works in parallel has at most `n_jobs` jobs; levels known before are looked up
    in `levels`, and new ones kept there.
    """
    started = time.perf_counter()
    wanted = request.significance_level is not None
    backend, seed = simulation_of(request, rows=scale_count(request), max_cost_s=max_cost_s)
    # A simulation takes most of the time: meanwhile the coherence can be on its way.
    early = backend is not None and _early_takes(NUMBER_BYTES * reply_numbers(request))
    with library_refusals("signal1"):
        found = pycwt_mod.wct(
            *_pair(request),
            **_arguments(request),
            sig=wanted,
            significance_level=request.significance_level or 0.95,
            mc_count=request.mc_count,
            method=request.method,
            cache=levels if levels is not None and is_exact(backend or request.backend) else False,
            backend=backend or request.backend,
            n_jobs=jobs_for(backend, n_jobs),
            rng=seed,
            early=_send_coherence if early else None,
        )
        return WctReply(
            **_coherence(found),
            coi=found.coi,
            freqs=found.freqs,
            signif=found.signif.astype(request.dtype) if wanted else None,
            lag1=_lag1(found),
            backend_used=backend,
            seed=seed,
            computation_time=time.perf_counter() - started,
        )


def _early_takes(size: int) -> bool:
    early = request_context().early
    return early is not None and early.takes(size)


def _send_coherence(found: pycwt_mod.WctResult) -> None:
    early = request_context().early
    if early is not None:
        early.send_from_thread(_coherence(found))


def _coherence(found: pycwt_mod.WctResult) -> dict[str, Any]:
    return {
        "WCT": _missing(found.coherence, found.mask),
        "aWCT": _missing(found.phase, found.mask),
    }


def _lag1(
    found: pycwt_mod.WctResult | pycwt_mod.XwtResult,
) -> tuple[Lag1Estimate, ...] | None:
    """Return the AR(1) coefficients behind the level; none without one."""
    if found.lag1 is None:
        return None
    return tuple(
        Lag1Estimate.model_validate({"g": float(each.g), "estimator": str(each.estimator)})
        for each in found.lag1
    )


def _arguments(request: TransformRequest) -> dict[str, Any]:
    """Return what all transforms of the library take by name."""
    return {
        "dt": request.dt,
        "dj": request.dj,
        "s0": request.s0,
        "J": request.J,
        "wavelet": wavelet_of(request.mother, request.param),
        "convention": request.convention,
        "max_bytes": MAX_COMPUTE_BYTES,
    }


def _pair(request: PairRequest) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    return _cast(request.signal1, request), _cast(request.signal2, request)


def _cast(signal: NDArray[np.floating], request: TransformRequest) -> NDArray[np.floating]:
    return signal.astype(request.dtype, copy=False)


def _missing(values: Values, mask: NDArray[np.bool_]) -> Values:
    """Return the values, missing where a missing sample touches them; ready to travel.

    Raises
    ------
    FloatingPointError
        Numbers overflowed on the way; a Fourier transform spreads that over all columns.
    """
    if np.isnan(values[:, 0][~mask[:, 0]]).any():
        raise FloatingPointError("overflow")
    if values.flags.writeable and mask.any():
        values[mask] = np.nan
    # Nobody writes to it any more, so the message need not copy it.
    values.flags.writeable = False
    return values
