"""Comparison of estimates with the exact values: coverage of intervals, and their scale.

The scale θ of an interval follows the quantile of the least scales r that would have contained the
exact values: after each comparison, ln θ changes by γ (1 - p) if r > θ and by -γ p if not, with the
stated probability p of a miss. The part of misses thus tends to p whatever the distribution of
errors is, and whether or not it changes.

References
----------
Gibbs & Candès (2021), Advances in Neural Information Processing Systems 34, arXiv:2106.00170.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Floats
from pycwt_mod.streaming.provisional.intervals import PROBABILITY

__all__ = ["Calibration", "CalibrationCounter"]

#: γ. A larger one follows changes faster, and varies more where there are none: on noise of which
#: the model is true, 0.02 lost up to 0.3 % of coverage, and 0.1 up to 0.6 %.
RATE = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Estimates of one channel and octave compared with their exact values.

    Attributes
    ----------
    compared : int
        Estimates compared so far.
    covered : tuple of int
        Those whose stated 95 % interval contained the exact value, for each of `quantities`.
    scales : ndarray, shape (quantities, rows)
        Factors applied to the intervals of the model.
    quantities : tuple of str
        "amplitude" and "phase".
    """

    compared: int
    covered: tuple[int, ...]
    scales: NDArray[np.float64]
    quantities: tuple[str, ...]

    @property
    def coverage(self) -> dict[str, float]:
        """The covered part by quantity; NaN before the first comparison."""
        return {
            name: covered / self.compared if self.compared else float("nan")
            for name, covered in zip(self.quantities, self.covered, strict=True)
        }


class CalibrationCounter:
    """Counts covered values, and derives the factors with which 95 % of them are covered.

    Parameters
    ----------
    quantities : tuple of str
    rows : int
    """

    def __init__(self, quantities: tuple[str, ...], rows: int) -> None:
        self._quantities = quantities
        self._log_scales = np.zeros((len(quantities), rows))
        self._compared, self._covered = 0, np.zeros(len(quantities), np.int64)

    @property
    def state(self) -> Calibration:
        """The counts and the factors so far."""
        return Calibration(
            compared=self._compared, covered=tuple(self._covered.tolist()),
            scales=self.scales, quantities=self._quantities,
        )  # fmt: skip

    @property
    def scales(self) -> NDArray[np.float64]:
        """The factors so far; shape (quantities, rows)."""
        return np.asarray(np.exp(self._log_scales))

    def add(self, least_scales: Floats, stated: Floats) -> None:
        """Add comparisons in order of time.

        Parameters
        ----------
        least_scales : ndarray, shape (n, quantities, rows)
            The smallest scales whose intervals contain the exact values; NaN is left out.
        stated : ndarray, shape (quantities, rows)
            The scales of the estimates.
        """
        known = ~np.isnan(least_scales)
        self._compared += int(known[:, 0].sum())
        self._covered += (least_scales <= stated).sum(axis=(0, 2))
        for each, valid in zip(least_scales, known, strict=True):
            missed = each > np.exp(self._log_scales)
            self._log_scales += RATE * np.where(valid, missed - (1 - PROBABILITY), 0.0)

    def snapshot(self) -> dict[str, object]:
        """Return the state as plain data."""
        return {
            "log_scales": self._log_scales.tolist(), "compared": self._compared,
            "covered": self._covered.tolist(),
        }  # fmt: skip

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from a `snapshot`."""
        self._log_scales = np.array(snapshot["log_scales"], np.float64)
        self._compared = int(snapshot["compared"])
        self._covered = np.array(snapshot["covered"], np.int64)
