"""An answer in a few lines for people, and whole for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycwt_client import CwtAnswer, WctAnswer, XwtAnswer
from schemas import wirearray

__all__ = ["json_of", "summary"]

Answer = CwtAnswer | XwtAnswer | WctAnswer


def json_of(answer: Answer) -> dict[str, Any]:
    """Return the fields of the answer as on the bus: complex numbers as parts, NaN as null."""
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
        case _:
            fields = {
                "WCT": answer.coherence, "aWCT": answer.phase, "coi": answer.coi,
                "freqs": answer.freqs, "signif": answer.signif,
                "backend_used": answer.backend_used, "seed": answer.seed,
            }  # fmt: skip
    shown = {
        name: wirearray.to_json(value) if isinstance(value, np.ndarray) else value
        for name, value in fields.items()
    }
    return {**shown, "computation_time": answer.computation_time}


def summary(answer: Answer, names: tuple[str, ...]) -> str:
    """Return what is worth knowing at a glance."""
    values, quantity = _strength(answer)
    outside = ~answer.mask & (1 / answer.freqs[:, None] <= answer.coi)
    rows = np.nanmean(np.where(outside, values, np.nan)[outside.any(axis=1)], axis=1)
    freqs = answer.freqs[outside.any(axis=1)]
    strongest = freqs[int(np.argmax(rows))]
    span = f"{answer.freqs.min():.4g} to {answer.freqs.max():.4g} Hz"
    size = f"{values.shape[1]} samples, {values.shape[0]} scales from {span}"
    most = f"Largest mean {quantity} outside the cone of influence: {rows.max():.3g}"
    lines = [f"{' with '.join(names)}: {size}", f"{most} at {strongest:.4g} Hz"]
    if not isinstance(answer, CwtAnswer) and answer.signif.size == len(answer.freqs):
        share = np.mean((values > answer.signif[:, None])[outside])
        lines.append(f"Significant: {share:.1%} of what is outside the cone of influence")
    if isinstance(answer, WctAnswer) and answer.backend_used is not None:
        lines.append(f"Level simulated by {answer.backend_used} from seed {answer.seed}")
    return "\n".join([*lines, f"Computed in {answer.computation_time * 1000:.0f} ms"])


def _strength(answer: Answer) -> tuple[np.ndarray, str]:
    match answer:
        case CwtAnswer():
            return np.abs(answer.coefs) ** 2, "power"
        case XwtAnswer():
            return np.abs(answer.cross), "cross power"
        case _:
            return answer.coherence, "coherence"
