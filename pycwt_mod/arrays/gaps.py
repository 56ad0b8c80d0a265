"""How missing samples are replaced, and where too many are missing for a result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from pycwt_mod.arrays.checks import Bools, Floats, as_number, check_positive, fill_missing

#: What replaces the samples of a short gap; None is the mean of the series.
GapFill: TypeAlias = Literal["linear"] | None

#: Default of the part of a value's energy that may be missing; docs/benchmarks-gaps.md compares.
MASK_THRESHOLD = 0.05
#: Smaller thresholds are near the rounding of the computation, which is in single precision.
LEAST_THRESHOLD = 1e-3


@dataclass(frozen=True, kw_only=True)
class GapPolicy:
    """How gaps are filled and masked.

    Attributes
    ----------
    fill : {None, "linear"}
        What gaps of up to `max_gap` are filled with; all others are filled with the mean.
    max_gap : float or None
        Longest gap that is filled, in the unit of `dt`: a gap of k samples lasts k `dt`. None
        sets no limit.
    mask_threshold : float or None
        Part of the energy of a value that may be missing where it is not masked. None masks the
        cone of influence of every missing sample.
    """

    fill: GapFill = None
    max_gap: float | None = None
    mask_threshold: float | None = MASK_THRESHOLD

    def __post_init__(self) -> None:
        if self.fill not in (None, "linear"):
            raise ValueError(f"gap_fill={self.fill!r} must be None or 'linear'")
        if self.max_gap is not None:
            check_positive("max_gap", self.max_gap)
            if self.fill is None:
                raise ValueError(f"max_gap={self.max_gap!r} needs gap_fill='linear'")
        threshold = self.mask_threshold
        if threshold is None:
            return
        if not LEAST_THRESHOLD <= as_number("mask_threshold", threshold) < 1:
            raise ValueError(
                f"mask_threshold={threshold!r} must be from {LEAST_THRESHOLD} to less than 1, or "
                "None for the cone of influence of every missing sample"
            )

    def filled(self, signal: Floats, dt: float) -> tuple[Floats, Bools]:
        """Return `signal`, shape (..., n), without gaps, and where they were."""
        missing = np.isnan(signal)
        if not missing.any():
            return signal, missing
        if self.fill == "linear":
            longest = math.inf if self.max_gap is None else self.max_gap / dt * (1 + 1e-9)
            signal = interpolated(signal, missing, longest)
        return fill_missing(signal), missing


def interpolated(signal: Floats, missing: Bools, longest: float) -> Floats:
    """Return `signal` with straight lines across gaps of up to `longest` samples.

    Longer gaps and those at the ends of the record, which have one neighbour only, stay NaN.
    """
    n = signal.shape[-1]
    index = np.arange(n)
    before = np.maximum.accumulate(np.where(missing, -1, index), axis=-1)
    after = np.minimum.accumulate(np.where(missing, n, index)[..., ::-1], axis=-1)[..., ::-1]
    inside = missing & (before >= 0) & (after < n) & (after - before - 1 <= longest)
    left = np.take_along_axis(signal, np.maximum(before, 0), -1).astype(np.float64)
    right = np.take_along_axis(signal, np.minimum(after, n - 1), -1).astype(np.float64)
    part = (index - before) / np.maximum(after - before, 1)
    return np.where(inside, left + part * (right - left), signal).astype(signal.dtype)
