"""From histograms of R² to levels and their standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.montecarlo.null import BINS

_CENTRES = (np.arange(BINS) + 0.5) / BINS
#: Half width in R² over which the density at the level is taken.
_DENSITY_REACH = 0.02


class MonteCarloLevels(np.ndarray[tuple[int, ...], np.dtype[np.float64]]):
    """Levels of R² per scale: an array as pycwt returns, that knows where it comes from.

    Attributes
    ----------
    standard_error : ndarray, shape (scales,), or None
        Sampling error of each level, from the scatter between the tasks; NaN with less than
        two of them. None on arrays derived from a result.
    seed : int or None
        Give it as `rng` to get the same levels again, bit for bit.
    mc_count : int or None
        Number of surrogate pairs.
    """

    standard_error: NDArray[np.float64] | None
    seed: int | None
    mc_count: int | None

    def __array_finalize__(self, obj: object) -> None:
        self.standard_error = None
        self.seed = None
        self.mc_count = None


def quantile(histogram: NDArray[np.int64], level: float) -> float:
    """Return the R² below which a part `level` of the counts lies; NaN without counts."""
    filled = histogram > 0
    if not filled.any():
        return np.nan
    total = histogram[filled].cumsum()
    return float(np.interp(level, (total - 0.5) / total[-1], _CENTRES[filled]))


def standard_error(chunks: NDArray[np.int64], level_r2: float) -> float:
    """Return the standard error of a quantile from independent `chunks`, shape (chunks, BINS).

    The part of each chunk that lies below the pooled level scatters; divided by the density
    at the level this is the error of the level.
    """
    counts = chunks.sum(axis=1)
    if len(chunks) < 2 or not counts.all() or np.isnan(level_r2):
        return np.nan
    edges = np.arange(BINS + 1) / BINS
    cumulative = np.concatenate([np.zeros((len(chunks), 1)), chunks.cumsum(axis=1)], axis=1)
    below = np.array([np.interp(level_r2, edges, c) for c in cumulative]) / counts
    pooled = cumulative.sum(axis=0) / counts.sum()
    low, high = max(0.0, level_r2 - _DENSITY_REACH), min(1.0, level_r2 + _DENSITY_REACH)
    density = float(np.diff(np.interp([low, high], edges, pooled))[0]) / (high - low)
    scatter = float(below.std(ddof=1)) / np.sqrt(len(chunks))
    return scatter / density if density > 0 else np.nan
