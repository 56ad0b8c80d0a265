"""Compute provisional estimates, and the fits of their models.

All functions are pure. A state is what the library returns, in JSON; a worker of another version
may not be able to read it, and then restarts the estimation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from cwt_compute.live.windows import floats, set_hashes
from cwt_runtime.analysis import plan_analysis, plan_provisional
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.errors import Unprocessable
from cwt_schemas.provisional import (
    FitReply,
    FitRequest,
    NewestSamples,
    OctaveCalibration,
    OctaveRows,
    ProvisionalEstimate,
)
from pycwt_mod.streaming import Calibration, Estimate, OctaveState, ProvisionalPlan

__all__ = ["estimate_newest", "fit_models"]

#: Version of the states.
STATE = "pycwt_mod.provisional/1"


def fit_models(request: FitRequest) -> FitReply:
    """Return the state of an octave after a fit.

    Raises
    ------
    Unprocessable
        The request does not match its analysis.
    """
    plan = _plan(request.analysis, request.fs_hz)
    if request.octave >= plan.grid.n_octaves:
        raise Unprocessable.of({"octave": f"must be below {plan.grid.n_octaves}"})
    if request.samples.shape[1] != len(request.analysis.channels):
        raise Unprocessable.of({"samples": "must have a column for each channel"})
    try:
        after, calibration = plan.fit(
            request.octave, _read(request.state), request.end, floats(request.samples)
        )
    except (KeyError, IndexError, TypeError) as error:
        raise Unprocessable.of({"state": f"cannot be read: {error!r}; begin without it"}) from error
    return FitReply(
        state=orjson.dumps({"format": STATE, "state": after}),
        calibration=tuple(map(_calibration, calibration)),
    )


def estimate_newest(newest: NewestSamples, *, worker: str) -> ProvisionalEstimate:
    """Return the estimates after the newest sample.

    Raises
    ------
    Unprocessable
        The samples do not match their analysis.
    """
    spec, plan = newest.analysis, _plan(newest.analysis, newest.fs_hz)
    layouts = plan_analysis(spec, newest.fs_hz).layouts
    if len(newest.states) != len(layouts):
        raise Unprocessable.of({"states": f"must be {len(layouts)}, one for each octave"})
    states = [_read(each) for each in newest.states]
    estimates = plan.estimates(states, newest.end, floats(newest.samples))
    return ProvisionalEstimate(
        stream=newest.stream,
        epoch=newest.epoch,
        analysis=spec.name,
        channels=spec.channels,
        fs_hz=newest.fs_hz,
        newest_sample=newest.end - 1,
        t_ns=newest.t_ns,
        freqs_hz=plan.grid.freqs_hz,
        delay_s=_rows([each.delay_s for each in estimates]),
        std=_rows([each.std for each in estimates]),
        rms=_rows([each.rms for each in estimates]),
        **_quantities(spec, estimates),
        octaves=tuple(
            OctaveRows(
                octave=each.octave,
                n=each.voices.stop - each.voices.start,
                tile=each.tile,
                fitted=None if state is None else plan.fitted_at(state),
            )
            for each, state in zip(layouts, states, strict=True)
        ),
        spec_hashes=set_hashes(spec, newest.fs_hz),
        worker=worker,
        times_ns=newest.times_ns,
    )


def _quantities(spec: AnalysisSpec, estimates: Sequence[Estimate]) -> dict[str, Any]:
    """Return the fields of the quantities of the analysis."""
    wanted = () if spec.provisional is None else spec.provisional.quantities
    fields: dict[str, Any] = {}
    if "complex" in wanted:
        fields["values"] = np.stack([each.values for each in estimates]).astype(np.complex64)
    if "amplitude" in wanted:
        intervals = [each.amplitude_interval for each in estimates]
        fields["amplitude"] = _rows([each.amplitude for each in estimates])
        fields["amplitude_low"] = _rows([low for low, _ in intervals])
        fields["amplitude_high"] = _rows([high for _, high in intervals])
    if "phase" in wanted:
        fields["phase"] = _rows([each.phase for each in estimates])
        fields["phase_halfwidth"] = _rows([each.phase_halfwidth for each in estimates])
    return fields


def _rows(each_channel: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    return np.stack(each_channel).astype(np.float32)


def _calibration(calibration: Calibration) -> OctaveCalibration:
    scale = dict(zip(calibration.quantities, np.median(calibration.scales, axis=1), strict=True))
    return OctaveCalibration(
        compared=calibration.compared,
        coverage=calibration.coverage if calibration.compared else {},
        scale={name: float(value) for name, value in scale.items()},
    )


def _plan(spec: AnalysisSpec, fs_hz: float) -> ProvisionalPlan:
    try:
        plan = plan_provisional(spec, fs_hz)
    except (ValueError, OverflowError) as error:
        raise Unprocessable.of({"analysis": str(error)}) from error
    if plan is None:
        raise Unprocessable.of({"analysis.provisional": "is required"})
    return plan


def _read(state: bytes | None) -> OctaveState | None:
    """Return a state, or None if there is none that this version can read."""
    if state is None:
        return None
    try:
        kept = orjson.loads(state)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(kept, dict) or kept.get("format") != STATE:
        return None
    inner = kept.get("state")
    return inner if isinstance(inner, dict) else None
