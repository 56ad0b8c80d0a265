"""Comparison of estimates with the exact values: coverage of intervals, and their scale factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Floats

__all__ = ["Calibration", "CalibrationCounter"]

#: 95 % quantile of χ² with two degrees of freedom: -2 ln 0.05.
QUANTILE = -2 * float(np.log(0.05))
PROBABILITY = 0.95
#: Bins of the squared error in units of the model's ellipse, eight per factor of two.
EDGES = 2.0 ** (np.arange(-64, 129) / 8)
#: Weight of the model's own distribution, in compared intervals of refitting.
PRIOR_INTERVALS = 4.0
#: Part of the counts that is kept when an interval is added: the memory is 32 intervals.
KEPT = 1 - 1 / 32


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Estimates of one channel and octave compared with their exact values.

    Attributes
    ----------
    compared, covered : int
        Estimates compared so far, and those whose error was inside the stated 95 % ellipse.
    scale : float
        Factor applied to the standard deviations of the model.
    """

    compared: int
    covered: int
    scale: float

    @property
    def coverage(self) -> float:
        """The covered part; NaN before the first comparison."""
        return self.covered / self.compared if self.compared else float("nan")


class CalibrationCounter:
    """Counts squared errors, and derives the factor that makes 95 % of them lie inside.

    The counts decay, so the factor follows the stream. The distribution that the model states
    counts as a few intervals, so the factor begins at 1.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(len(EDGES) + 1)
        self._prior = np.diff(np.concatenate([[0.0], -np.expm1(-EDGES / 2), [1.0]]))
        self._compared = self._covered = 0
        self._scale = 1.0

    @property
    def state(self) -> Calibration:
        """The counts and the factor so far."""
        return Calibration(compared=self._compared, covered=self._covered, scale=self._scale)

    def add(self, squared: Floats, scale: float) -> None:
        """Add the squared errors of one interval, whose estimates were scaled by `scale`.

        Parameters
        ----------
        squared : ndarray
            In units of the model's own ellipse; NaN is left out.
        """
        values = squared[np.isfinite(squared)]
        if not values.size:
            return
        self._compared += values.size
        self._covered += int((values <= QUANTILE * scale**2).sum())
        counted = np.bincount(np.searchsorted(EDGES, values), minlength=len(EDGES) + 1)
        self._counts = KEPT * self._counts + counted / values.size
        self._scale = float(np.sqrt(self._quantile() / QUANTILE))

    def _quantile(self) -> float:
        """Return the 95 % quantile of the counts and the prior, interpolated in the logarithm."""
        counts = self._counts + PRIOR_INTERVALS * self._prior
        below = np.cumsum(counts) / counts.sum()
        return float(np.exp(np.interp(PROBABILITY, below[:-1], np.log(EDGES))))

    def snapshot(self) -> dict[str, object]:
        """Return the state as plain data."""
        return {
            "counts": self._counts.tolist(), "compared": self._compared,
            "covered": self._covered, "scale": self._scale,
        }  # fmt: skip

    def restore(self, snapshot: dict[str, object]) -> None:
        """Continue from a `snapshot`."""
        counts: NDArray[np.float64] = np.asarray(snapshot["counts"], np.float64)
        self._counts = counts
        self._compared, self._covered = (
            int(str(snapshot["compared"])),
            int(str(snapshot["covered"])),
        )
        self._scale = float(str(snapshot["scale"]))
