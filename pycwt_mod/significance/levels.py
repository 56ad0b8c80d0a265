"""From histograms of R² to levels and their standard errors."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Summarised, span
from pycwt_mod.significance.surrogates import BINS

#: Source of levels: a simulation for these arguments, or the table of earlier simulations.
Method: TypeAlias = Literal["montecarlo", "table"]

_CENTRES = (np.arange(BINS) + 0.5) / BINS
#: Half width in R² over which the density at the level is taken.
_DENSITY_REACH = 0.02


class MonteCarloLevels(Summarised, np.ndarray[tuple[int, ...], np.dtype[np.float64]]):
    """Levels of R² per scale: an array as pycwt returns, with its provenance.

    Attributes
    ----------
    standard_error : ndarray, shape (scales,), or None
        Error of each level. With ``method="montecarlo"`` the sampling error, from the scatter
        between the tasks; NaN with less than two of them. With ``method="table"`` that of
        the table for white noise; for red it is somewhat more. None on arrays derived from a
        result.
    pairs : ndarray of int, shape (scales,), or None
        Number of surrogate pairs behind each level; None for levels from the table.
    seed : int or None
        Give it as `rng` to get the same levels again, bit for bit; None for the table.
    mc_count : int or None
        Number of surrogate pairs that was asked for; None for the table.
    method : {"montecarlo", "table"} or None
    """

    standard_error: NDArray[np.float64] | None
    pairs: NDArray[np.int64] | None
    seed: int | None
    mc_count: int | None
    method: Method | None

    def __array_finalize__(self, obj: object) -> None:
        self.standard_error = None
        self.pairs = None
        self.seed = None
        self.mc_count = None
        self.method = None

    def copy(self, order: Literal["K", "A", "C", "F"] | None = "C") -> MonteCarloLevels:
        """Return a copy with the attributes; every other derived array loses them."""
        copied = super().copy(order)
        copied.__dict__.update(deepcopy(self.__dict__))
        return copied

    def placed(self, places: slice | NDArray[np.intp]) -> MonteCarloLevels:
        """Return the levels at `places` with the attributes; a slice stands for all of them."""
        if isinstance(places, slice):
            return self
        levels = np.ndarray.__getitem__(self, places).view(MonteCarloLevels)
        levels.__dict__.update(self.__dict__)
        for name in ("standard_error", "pairs"):
            each = getattr(self, name)
            setattr(levels, name, None if each is None else each[places])
        return levels

    def _facts(self) -> dict[str, str]:
        facts = {"scales": str(self.size), "level of R²": span(self), "method": str(self.method)}
        if self.pairs is not None:
            facts |= {"pairs": span(self.pairs), "seed": str(self.seed)}
        if self.standard_error is not None:
            facts["standard error"] = span(self.standard_error)
        return facts

    def __repr__(self) -> str:
        """Return the summary; of derived arrays, which have no attributes, the numbers."""
        return np.ndarray.__repr__(self) if self.method is None else super().__repr__()

    def _repr_html_(self) -> str | None:
        return None if self.method is None else super()._repr_html_()

    def __copy__(self) -> MonteCarloLevels:
        return self.copy("K")

    def __deepcopy__(self, memo: dict[int, Any] | None = None, /) -> MonteCarloLevels:
        return self.copy("K")

    def __reduce__(self) -> tuple[Any, ...]:
        reduced = super().__reduce__()
        return (*reduced[:2], (reduced[2], dict(self.__dict__)))

    def __setstate__(self, state: tuple[Any, ...], /) -> None:
        array, attributes = state
        super().__setstate__(array)
        self.__dict__.update(attributes)


def quantile(histogram: NDArray[np.int64], level: float) -> float:
    """Return the R² below which a part `level` of the counts lies; NaN without counts."""
    filled = histogram > 0
    if not filled.any():
        return np.nan
    total = histogram[filled].cumsum()
    return float(np.interp(level, (total - 0.5) / total[-1], _CENTRES[filled]))


def standard_error(chunks: NDArray[np.int64], level_r2: float) -> float:
    """Return the standard error of a quantile from independent `chunks`, shape (chunks, BINS).

    The part of each chunk that lies below the pooled level scatters about the pooled part;
    the scatter, each chunk weighted by its counts, divided by the density at the level is the
    error of the level.
    """
    counts = chunks.sum(axis=1)
    if len(chunks) < 2 or not counts.all() or np.isnan(level_r2):
        return np.nan
    edges = np.arange(BINS + 1) / BINS
    cumulative = np.concatenate([np.zeros((len(chunks), 1)), chunks.cumsum(axis=1)], axis=1)
    below = np.array([np.interp(level_r2, edges, c) for c in cumulative])
    pooled = cumulative.sum(axis=0) / counts.sum()
    low, high = max(0.0, level_r2 - _DENSITY_REACH), min(1.0, level_r2 + _DENSITY_REACH)
    density = float(np.diff(np.interp([low, high], edges, pooled))[0]) / (high - low)
    residual = below - counts * (below.sum() / counts.sum())
    bessel = len(chunks) / (len(chunks) - 1)
    scatter = float(np.sqrt(bessel * np.sum(residual**2))) / float(counts.sum())
    return scatter / density if density > 0 else np.nan
