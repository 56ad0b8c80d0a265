"""Format an answer: a summary for people, and all fields for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cwt_schemas.arrays import to_json
from cwt_schemas.query import SignificanceReply
from pycwt_client import CwtAnswer, MwctAnswer, PwctAnswer, WctAnswer, XwtAnswer
from pycwt_client.jobs import Answer

__all__ = ["fields_of", "glance", "json_of", "summary"]


Transform = CwtAnswer | XwtAnswer | WctAnswer | PwctAnswer | MwctAnswer
#: Answers with a threshold that may have been simulated.
Simulated = WctAnswer | PwctAnswer | MwctAnswer | SignificanceReply


def fields_of(answer: Answer) -> dict[str, Any]:
    """Return the fields of the answer, keyed by their names on the bus."""
    fields: dict[str, Any]
    match answer:
        case CwtAnswer():
            fields = {
                "wave": answer.coefs, "scales": answer.scales, "freqs": answer.freqs,
                "coi": answer.coi, "fft": answer.fft, "fftfreqs": answer.fftfreqs,
            }  # fmt: skip
        case XwtAnswer():
            fields = {
                "xwt": answer.cross, "phase": answer.phase, "coi": answer.coi,
                "freqs": answer.freqs, "signif": answer.signif,
            }  # fmt: skip
        case WctAnswer():
            fields = {
                "WCT": answer.coherence, "aWCT": answer.phase, "coi": answer.coi,
                "freqs": answer.freqs, "signif": answer.signif,
            }  # fmt: skip
        case PwctAnswer():
            fields = {
                "PWCT": answer.coherence, "aPWCT": answer.phase, "coi": answer.coi,
                "freqs": answer.freqs, "signif": answer.signif,
            }  # fmt: skip
        case MwctAnswer():
            fields = {
                "MWCT": answer.coherence, "coi": answer.coi, "freqs": answer.freqs,
                "signif": answer.signif,
            }  # fmt: skip
        case _:
            fields = {"signif": answer.signif}
    if isinstance(answer, Simulated) and answer.backend_used is not None:
        fields |= {"backend_used": answer.backend_used, "seed": answer.seed}
    return {**fields, "computation_time": answer.computation_time, "cached": answer.cached}


def json_of(answer: Answer) -> dict[str, Any]:
    """Encode the answer as JSON, as on the bus: complex numbers as two parts, NaN as null."""
    return {
        name: to_json(np.asarray(value)) if isinstance(value, np.ndarray) else value
        for name, value in fields_of(answer).items()
    }


def glance(answer: Answer) -> str:
    """Summarize the answer in one line: its size and its largest mean."""
    if isinstance(answer, SignificanceReply):
        low, high = np.nanmin(answer.signif), np.nanmax(answer.signif)
        return f"levels of {answer.signif.size} scales, {low:.3g} to {high:.3g}"
    strongest, frequency, quantity = _strongest(answer)
    shape = " x ".join(map(str, _strength(answer)[0].shape))
    return f"{shape}, largest mean {quantity} {strongest:.3g} at {frequency:.4g} Hz"


def summary(answer: Answer, names: tuple[str, ...]) -> str:
    """Summarize the answer in a few lines."""
    if isinstance(answer, SignificanceReply):
        lines = [f"{' with '.join(names)}: {glance(answer)}"]
        backend, seed = answer.backend_used, answer.seed
    else:
        lines = _transform_lines(answer, names)
        backend = answer.backend_used if isinstance(answer, Simulated) else None
        seed = answer.seed if isinstance(answer, Simulated) else None
    if backend is not None:
        lines.append(f"Level simulated by {backend} from seed {seed}")
    before = " (cached reply)" if answer.cached else ""
    return "\n".join([*lines, f"Computed in {answer.computation_time * 1000:.0f} ms{before}"])


def _transform_lines(answer: Transform, names: tuple[str, ...]) -> list[str]:
    values, _ = _strength(answer)
    strongest, frequency, quantity = _strongest(answer)
    span = f"{answer.freqs.min():.4g} to {answer.freqs.max():.4g} Hz"
    size = f"{values.shape[1]} samples, {values.shape[0]} scales from {span}"
    most = f"Largest mean {quantity} outside the cone of influence: {strongest:.3g}"
    lines = [f"{' with '.join(names)}: {size}", f"{most} at {frequency:.4g} Hz"]
    if not isinstance(answer, CwtAnswer) and answer.signif.size == len(answer.freqs):
        share = np.mean((values > answer.signif[:, None])[_outside(answer)])
        lines.append(f"Significant: {share:.1%} of the values outside the cone of influence")
    return lines


def _strongest(answer: Transform) -> tuple[float, float, str]:
    """Return the largest mean over time, its frequency in Hz, and the name of the quantity."""
    values, quantity = _strength(answer)
    outside = _outside(answer)
    some = outside.any(axis=1)
    if not some.any():
        return np.nan, np.nan, quantity
    rows = np.nanmean(np.where(outside, values, np.nan)[some], axis=1)
    best = int(np.argmax(rows))
    return float(rows[best]), float(answer.freqs[some][best]), quantity


def _outside(answer: Transform) -> np.ndarray:
    """Return a mask of the valid values outside the cone of influence."""
    inside: np.ndarray = ~answer.mask & (1 / answer.freqs[:, None] <= answer.coi)
    return inside


def _strength(answer: Transform) -> tuple[np.ndarray, str]:
    match answer:
        case CwtAnswer():
            return np.abs(answer.coefs) ** 2, "power"
        case XwtAnswer():
            return np.abs(answer.cross), "cross power"
        case _:
            return answer.coherence, "coherence"
