"""Questions about whole signals: from the request to the reply, as pure functions."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

import pycwt_mod
from schemas.errors import NotFound, Unavailable, Unprocessable
from schemas.limits import MAX_INT64, MAX_OUTPUT_CELLS, MAX_QUERY_MC_CELLS
from schemas.query import (
    BackendInfo,
    BackendsReply,
    CwtReply,
    CwtRequest,
    PairRequest,
    TransformRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from services.runtime.analysis import wavelet_of

__all__ = ["answer_backends", "answer_cwt", "answer_wct", "answer_xwt"]

#: What steps in for a backend that is not available, if the request allows it.
FALLBACK = "sequential"
#: What one query may take of a worker's memory. An answer that a message can carry needs far less.
MAX_COMPUTE_BYTES = MAX_OUTPUT_CELLS * 16


def output_cells(request: TransformRequest) -> int:
    """Return scales times samples of the answer, as pycwt's rules for -1 have it."""
    n = len(request.data) if isinstance(request, CwtRequest) else 0
    if isinstance(request, PairRequest):
        n = len(request.signal1)
    return _rows(request, n) * n


def _rows(request: TransformRequest, n: int) -> int:
    if request.J != -1:
        return request.J + 1
    s0 = _smallest_scale(request)
    return max(round(math.log2(max(n * request.dt / s0, 1.0)) / request.dj), 0) + 1


def _smallest_scale(request: TransformRequest) -> float:
    if request.s0 != -1:
        return request.s0
    mother = wavelet_of(request.mother, request.param) if isinstance(request, CwtRequest) else None
    factor = (mother or wavelet_of("morlet", -1)).fourier_factor
    return 2 * request.dt / factor


def _check_monte_carlo(request: WctRequest) -> None:
    """Refuse what would compute for minutes: the service has others to answer."""
    rows = _rows(request, len(request.signal1))
    longest = _smallest_scale(request) * 2 ** ((rows - 1) * request.dj)
    cells = math.ceil(6 * longest / request.dt) * rows
    possible = MAX_QUERY_MC_CELLS // max(cells, 1)
    if request.mc_count > possible:
        problem = (
            f"{request.mc_count} pairs of {cells} values take too long for a query, "
            f"{possible} are possible here"
        )
        raise Unprocessable.of({"mc_count": problem})


def answer_cwt(request: CwtRequest) -> CwtReply:
    """Return the wavelet transform of one signal."""
    started = time.perf_counter()
    with _library_refusals():
        found = pycwt_mod.cwt(
            _cast(request.data, request),
            request.dt,
            request.dj,
            request.s0,
            request.J,
            wavelet_of(request.mother, request.param),
            convention=request.convention,
            max_bytes=MAX_COMPUTE_BYTES,
        )
    return CwtReply(
        wave=found.coefs,
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
    with _library_refusals():
        found = pycwt_mod.xwt(
            *_pair(request),
            request.dt,
            request.dj,
            request.s0,
            request.J,
            convention=request.convention,
            max_bytes=MAX_COMPUTE_BYTES,
        )
    return XwtReply(
        xwt=found.cross,
        phase=np.angle(found.cross),
        coi=found.coi,
        freqs=found.freqs,
        signif=found.signif,
        computation_time=time.perf_counter() - started,
    )


def answer_wct(request: WctRequest, *, n_jobs: int = 1) -> WctReply:
    """Return the wavelet coherence of two signals, with its level unless none was asked for.

    A backend that works in parallel has at most `n_jobs` jobs.
    """
    started = time.perf_counter()
    wanted = request.significance_level is not None
    if wanted:
        _check_monte_carlo(request)
    backend = _backend(request.backend, fallback=request.fallback)
    seed = request.seed if request.seed is not None else secrets.randbelow(MAX_INT64)
    with _library_refusals():
        found = pycwt_mod.wct(
            *_pair(request),
            request.dt,
            request.dj,
            request.s0,
            request.J,
            sig=wanted,
            significance_level=request.significance_level or 0.95,
            convention=request.convention,
            mc_count=request.mc_count,
            backend=backend,
            n_jobs=n_jobs,
            rng=seed,
            max_bytes=MAX_COMPUTE_BYTES,
        )
    return WctReply(
        WCT=found.coherence,
        aWCT=found.phase,
        coi=found.coi,
        freqs=found.freqs,
        signif=found.signif if wanted else None,
        backend_used=backend,
        seed=seed if wanted else None,
        computation_time=time.perf_counter() - started,
    )


def answer_backends() -> BackendsReply:
    """Return every Monte Carlo backend that this worker knows."""
    return BackendsReply(
        backends=tuple(
            BackendInfo(
                name=info.name,
                available=info.available,
                description=info.description,
                type=info.type,
                error=info.error,
            )
            for info in pycwt_mod.list_backends()
        )
    )


def answer_backend(name: str) -> BackendInfo:
    """Return one Monte Carlo backend."""
    for info in answer_backends().backends:
        if info.name == name:
            return info
    known = ", ".join(info.name for info in answer_backends().backends)
    raise NotFound(f"no backend is called {name}; there are {known}")


def _backend(name: str, *, fallback: bool) -> str:
    """Return the backend to use: the one asked for, or its stand-in where the request allows it."""
    info = answer_backend(name)
    if info.available:
        return name
    if fallback:
        return FALLBACK
    raise Unavailable(
        f"backend {name} is not available: {info.error or 'no reason given'}; "
        f"send fallback: true to take {FALLBACK} instead"
    )


def _pair(request: PairRequest) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    return _cast(request.signal1, request), _cast(request.signal2, request)


def _cast(signal: NDArray[np.floating], request: TransformRequest) -> NDArray[np.floating]:
    return signal.astype(request.dtype, copy=False)


#: The library's names of what the request calls otherwise.
_FIELDS = {"y1": "signal1", "y2": "signal2", "signal": "data", "wavelet": "mother"}


@contextmanager
def _library_refusals() -> Iterator[None]:
    """Turn the library's ValueError, which names the argument, into a refusal of the field."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        argument = text.replace("=", " ").split(maxsplit=1)[0].rstrip(":,") if text else "request"
        field = _FIELDS.get(argument, argument)
        raise Unprocessable.of({field: text}) from None
