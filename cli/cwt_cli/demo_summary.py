"""Describe a coherence picture in words. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pycwt_client import Picture

__all__ = ["PairSummary", "summarise", "summary_in_words"]

#: Smallest fraction of valid columns for a scale to be considered.
ENOUGH = 0.2


@dataclass(frozen=True, kw_only=True)
class PairSummary:
    """The frequency of the highest coherence of two signals over the whole time."""

    freq_hz: float
    #: Median over time.
    coherence: float
    #: Percent of the valid time; None without significance levels.
    above_level_percent: float | None
    #: Circular mean, weighted by coherence, of the times above the level; positive: the first
    #: signal leads.
    phase_deg: float | None

    @property
    def lead_ms(self) -> float | None:
        """Lead of the first signal in ms; negative if the second signal leads."""
        return None if self.phase_deg is None else self.phase_deg / 360 / self.freq_hz * 1000


def summarise(picture: Picture) -> PairSummary | None:
    """Summarize a picture of coherence; None if too little of it is valid."""
    valid = ~(picture.mask | np.isnan(picture.values))
    judged = np.flatnonzero(valid.mean(axis=1) >= ENOUGH)
    if judged.size == 0:
        return None
    medians = [float(np.median(picture.values[row, valid[row]])) for row in judged]
    row = int(judged[int(np.argmax(medians))])
    times = valid[row].copy()
    above: float | None = None
    if picture.signif is not None and not np.isnan(picture.signif[row]):
        over = valid[row] & (picture.values[row] > picture.signif[row])
        above = 100 * float(over.sum() / valid[row].sum())
        times = over if over.any() else times
    return PairSummary(
        freq_hz=float(picture.freqs_hz[row]),
        coherence=max(medians),
        above_level_percent=above,
        phase_deg=_mean_phase(picture, row, times),
    )


def _mean_phase(picture: Picture, row: int, times: np.ndarray) -> float | None:
    if picture.phase is None:
        return None
    mean = np.sum(picture.values[row, times] * np.exp(1j * picture.phase[row, times]))
    return math.degrees(math.atan2(mean.imag, mean.real))


def summary_in_words(pair: tuple[str, str], summary: PairSummary | None, level: float) -> str:
    """Format a summary as one sentence."""
    first, second = pair
    if summary is None:
        return f"{first} with {second}: too few valid values; play a longer part of the recording"
    words = (
        f"{first} with {second}: strongest at {summary.freq_hz:.2f} Hz "
        f"({60 * summary.freq_hz:.0f} per minute), "
        f"median coherence {summary.coherence:.2f}"
    )
    if summary.above_level_percent is not None:
        share = summary.above_level_percent
        words += f", above the {100 * level:g} % level {share:.0f} % of the time"
    if summary.phase_deg is not None and summary.lead_ms is not None:
        leader, follower = (first, second) if summary.lead_ms >= 0 else (second, first)
        words += (
            f"; phase {summary.phase_deg:.0f} degrees: "
            f"{leader} leads {follower} by {abs(summary.lead_ms):.0f} ms "
            f"(plus or minus whole periods of {1000 / summary.freq_hz:.0f} ms)"
        )
    return words
