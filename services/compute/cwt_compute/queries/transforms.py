"""Transforms and significance thresholds of whole signals: pure functions."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

import pycwt_mod
from cwt_compute.queries.cost import MAX_COMPUTE_BYTES, reply_bytes, scale_count
from cwt_compute.queries.simulation import Levels, Simulation, simulation_of
from cwt_runtime.analysis import wavelet_of
from cwt_runtime.rpc.context import request_context
from cwt_schemas.errors import Unprocessable
from cwt_schemas.limits import MAX_QUERY_COST_S
from cwt_schemas.query import (
    CwtReply,
    CwtRequest,
    JointRequest,
    Lag1Estimate,
    MwctReply,
    MwctRequest,
    PairRequest,
    PwctReply,
    PwctRequest,
    SignificanceReply,
    SignificanceRequest,
    TransformRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from pycwt_mod import NyquistWarning

__all__ = [
    "answer_cwt",
    "answer_mwct",
    "answer_pwct",
    "answer_significance",
    "answer_wct",
    "answer_xwt",
]

# Clients choose the scales, so a warning on stderr for each new s0 would only fill the log.
warnings.filterwarnings("ignore", category=NyquistWarning)

#: Arguments of the library whose field in the request has a different name.
_FIELDS = {"y1": "signal1", "y2": "signal2", "signal": "data", "wavelet": "mother",
           "f0": "param", "m": "param", "param": "param"}  # fmt: skip

#: Arguments of the library whose field has the same name.
_OWN_NAMES = {
    "dt", "dj", "s0", "J", "al1", "al2", "mc_count", "significance_level", "convention", "method",
    "given", "target", "deltaj0",
}  # fmt: skip

#: Error for a wavelet without a smoothing factor. A script can set the factor, a request cannot.
_UNPUBLISHED = re.compile(r"(no \w+ has been published for [^:]+): give one")

Values = TypeVar("Values", bound=NDArray[Any])


def answer_cwt(request: CwtRequest) -> CwtReply:
    """Return the wavelet transform of one signal."""
    started = time.perf_counter()
    with _library_refusals("data"):
        result = pycwt_mod.cwt(_cast(request.data, request), **_arguments(request))
        return CwtReply(
            wave=_missing(result.coefs, result.mask),
            scales=result.scales,
            freqs=result.freqs,
            coi=result.coi,
            fft=result.fft,
            fftfreqs=result.fftfreqs,
            computation_time=time.perf_counter() - started,
        )


def answer_xwt(request: XwtRequest) -> XwtReply:
    """Return the cross-wavelet transform of two signals."""
    started = time.perf_counter()
    with _library_refusals("signal1"):
        result = pycwt_mod.xwt(
            *_pair(request), **_arguments(request), significance_level=request.significance_level
        )
        cross = _missing(result.cross, result.mask)
        return XwtReply(
            xwt=cross,
            phase=np.angle(cross),
            coi=result.coi,
            freqs=result.freqs,
            signif=result.signif.astype(request.dtype),
            lag1=_lag1(result),
            computation_time=time.perf_counter() - started,
        )


def answer_wct(
    request: WctRequest,
    *,
    n_jobs: int = 1,
    levels: Levels | None = None,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> WctReply:
    """Return the wavelet coherence of two signals, with its threshold if requested.

    Parallel backends use at most `n_jobs` jobs. `levels` is a cache of thresholds.
    """
    started = time.perf_counter()
    has_level = request.significance_level is not None
    simulation = simulation_of(request, rows=scale_count(request), max_cost_s=max_cost_s)
    # The simulation takes most of the time, so the coherence can be sent before it.
    early = simulation.backend is not None and _early_takes(reply_bytes(request))
    with _library_refusals("signal1"):
        result = pycwt_mod.wct(
            *_pair(request),
            **_arguments(request) | simulation.arguments(request, n_jobs=n_jobs, levels=levels),
            sig=has_level,
            significance_level=request.significance_level or 0.95,
            on_coherence=_send_coherence if early else None,
        )
        return WctReply(
            **_coherence(result),
            coi=result.coi,
            freqs=result.freqs,
            signif=result.signif.astype(request.dtype) if has_level else None,
            lag1=_lag1(result),
            backend_used=simulation.backend,
            seed=simulation.seed,
            computation_time=time.perf_counter() - started,
        )


def answer_pwct(
    request: PwctRequest,
    *,
    n_jobs: int = 1,
    levels: Levels | None = None,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> PwctReply:
    """Return the partial coherence of two signals; for arguments see `answer_wct`."""
    started = time.perf_counter()
    simulation = simulation_of(request, rows=scale_count(request), max_cost_s=max_cost_s)
    with _library_refusals("signal1"):
        result = pycwt_mod.pwct(
            _cast(request.signal1, request), _cast(request.signal2, request),
            _cast(request.given, request), **_joint_arguments(request),
            **simulation.arguments(request, n_jobs=n_jobs, levels=levels),
        )  # fmt: skip
        return PwctReply(
            PWCT=_missing(result.coherence, result.mask),
            aPWCT=_missing(result.phase, result.mask),
            **_joint_fields(request, result, simulation, started),
        )


def answer_mwct(
    request: MwctRequest,
    *,
    n_jobs: int = 1,
    levels: Levels | None = None,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> MwctReply:
    """Return the multiple coherence of a signal with others; for arguments see `answer_wct`."""
    started = time.perf_counter()
    simulation = simulation_of(request, rows=scale_count(request), max_cost_s=max_cost_s)
    with _library_refusals("target"):
        result = pycwt_mod.mwct(
            _cast(request.target, request), _cast(request.given, request),
            **_joint_arguments(request),
            **simulation.arguments(request, n_jobs=n_jobs, levels=levels),
        )  # fmt: skip
        return MwctReply(
            MWCT=_missing(result.coherence, result.mask),
            **_joint_fields(request, result, simulation, started),
        )


def answer_significance(
    request: SignificanceRequest,
    *,
    n_jobs: int = 1,
    levels: Levels | None = None,
    max_cost_s: float = MAX_QUERY_COST_S,
) -> SignificanceReply:
    """Return the threshold of coherence per scale, from pairs of independent red noises.

    Parallel backends use at most `n_jobs` jobs. `levels` is a cache of thresholds.
    """
    started = time.perf_counter()
    simulation = simulation_of(request, rows=request.J + 1, max_cost_s=max_cost_s)
    with _library_refusals("s0"):
        thresholds = pycwt_mod.wct_significance(
            request.al1,
            request.al2,
            request.dt,
            request.dj,
            request.s0,
            request.J,
            request.significance_level,
            wavelet_of(request.mother, request.param),
            convention=request.convention,
            n=request.n,
            **simulation.arguments(request, n_jobs=n_jobs, levels=levels),
        )
        return SignificanceReply(
            signif=thresholds.astype(request.dtype),
            backend_used=simulation.backend,
            seed=simulation.seed,
            computation_time=time.perf_counter() - started,
        )


def _early_takes(size: int) -> bool:
    early = request_context().early
    return early is not None and early.takes(size)


def _send_coherence(result: pycwt_mod.WctResult) -> None:
    early = request_context().early
    if early is not None:
        early.send_from_thread(_coherence(result))


def _coherence(result: pycwt_mod.WctResult) -> dict[str, Any]:
    return {
        "WCT": _missing(result.coherence, result.mask),
        "aWCT": _missing(result.phase, result.mask),
    }


def _lag1(
    result: pycwt_mod.WctResult | pycwt_mod.MwctResult | pycwt_mod.XwtResult,
) -> tuple[Lag1Estimate, ...] | None:
    """Return the lag-1 coefficients behind the threshold, or None without a threshold."""
    if result.lag1 is None:
        return None
    return tuple(
        Lag1Estimate.model_validate({"g": float(each.g), "estimator": str(each.estimator)})
        for each in result.lag1
    )


def _joint_arguments(request: JointRequest) -> dict[str, Any]:
    return {
        **_arguments(request),
        "deltaj0": request.deltaj0,
        "sig": request.significance_level is not None,
        "significance_level": request.significance_level or 0.95,
    }


def _joint_fields(
    request: JointRequest,
    result: pycwt_mod.WctResult | pycwt_mod.MwctResult,
    simulation: Simulation,
    started: float,
) -> dict[str, Any]:
    """Return the fields that the replies of partial and multiple coherence have in common."""
    has_level = request.significance_level is not None
    return {
        "coi": result.coi,
        "freqs": result.freqs,
        "signif": result.signif.astype(request.dtype) if has_level else None,
        "lag1": _lag1(result),
        "backend_used": simulation.backend,
        "seed": simulation.seed,
        "computation_time": time.perf_counter() - started,
    }


def _arguments(request: TransformRequest) -> dict[str, Any]:
    """Return the keyword arguments common to all transforms of the library."""
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
    """Return the values read-only, with NaN where a missing sample affects them.

    Raises
    ------
    FloatingPointError
        The computation overflowed; a Fourier transform spreads an overflow over all columns.
    """
    if np.isnan(values[:, 0][~mask[:, 0]]).any():
        raise FloatingPointError("overflow")
    if values.flags.writeable and mask.any():
        values[mask] = np.nan
    # A message does not copy a read-only array.
    values.flags.writeable = False
    return values


@contextmanager
def _library_refusals(signal: str) -> Iterator[None]:
    """Translate errors of the library and of the reply to errors of a field.

    The library's ``ValueError`` names the argument. An invalid reply has values out of range, which
    is reported for the field `signal`; numpy's warnings about them are suppressed.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except (ValidationError, FloatingPointError):
        problem = "the result overflows its data type: scale the signal, or request float64"
        raise Unprocessable.of({signal: problem}) from None
    except (ValueError, OverflowError) as error:
        raise Unprocessable.of(
            {_field_of(str(error)): _in_words_of_the_request(str(error))}
        ) from None


def _in_words_of_the_request(text: str) -> str:
    """Return an error message of the library with the names and choices of a request."""
    if unpublished := _UNPUBLISHED.match(text):
        return f"{unpublished[1]}; use 6 with morlet, 4 with paul, or 2 or 6 with dog"
    return re.sub(r"\by([12])\b", r"signal\1", text)


def _field_of(text: str) -> str:
    """Return the field that an error of the library concerns; the table's errors are `method`'s.

    A message is "cannot X: reason; do Y", where the reason begins with the argument, or only the
    reason.
    """
    if _UNPUBLISHED.match(text):
        return "param"
    reason = text.partition(": ")[2] if text.startswith("cannot ") else text
    argument = reason.replace("=", " ").replace("[", " ").partition(" ")[0].rstrip(":,")
    if "given signals" in text:
        return "given"
    if argument in _FIELDS:
        return _FIELDS[argument]
    if argument in _OWN_NAMES:
        return argument
    return "method" if "table" in text else "request"
