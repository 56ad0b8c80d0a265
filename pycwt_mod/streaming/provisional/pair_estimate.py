"""Estimates of coherence, cross spectrum and phase difference before they are final."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Summarised, span
from pycwt_mod.streaming.provisional.intervals import Interval

__all__ = ["PairEstimate"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PairEstimate(Summarised):
    """The newest estimates of one pair of channels, one for each row.

    Rows are NaN if either channel has no model yet or is constant.

    Attributes
    ----------
    channels : tuple of int
        A positive phase means that the first one leads.
    quantity : {"coherence", "cross"}
        R² of `StreamingWct`, or |W1 W2*| of `StreamingXwt`, in units of both signals.
    newest_sample : int
        Index of the last sample that the estimates know.
    freqs_hz : ndarray, shape (k,)
    samples : ndarray of int, shape (k,)
        The sample that each estimate is at.
    phase : ndarray, shape (k,)
        Of the (smoothed) cross spectrum, in radians.
    value_interval, phase_interval : Interval
        Of the quantity, and of its phase relative to `phase`, according to the model.
    value_scale, phase_scale : ndarray, shape (k,)
        Factors by which the intervals are wider than those of the model, so that they contain
        95 % of the exact values.
    fs_hz : float
        Sampling rate.
    """

    channels: tuple[int, int]
    quantity: Literal["coherence", "cross"]
    newest_sample: int
    freqs_hz: NDArray[np.float64]
    samples: NDArray[np.int64]
    phase: NDArray[np.float64]
    value_interval: Interval
    phase_interval: Interval
    value_scale: NDArray[np.float64]
    phase_scale: NDArray[np.float64]
    fs_hz: float

    def _facts(self) -> dict[str, str]:
        return {
            "channels": str(self.channels),
            "quantity": self.quantity,
            "newest sample": str(self.newest_sample),
            "frequencies": span(self.freqs_hz, "Hz"),
            "delays": span(self.delay_s, "s"),
            "values": span(self.values),
        }

    @property
    def delay_s(self) -> NDArray[np.float64]:
        """Time from each estimate to the newest sample, in seconds; shape (k,)."""
        return np.asarray((self.newest_sample - self.samples) / self.fs_hz)

    @property
    def values(self) -> NDArray[np.float64]:
        """R² or |W1 W2*|: its median under the model; shape (k,)."""
        return np.asarray(self.value_interval.median)

    @property
    def interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the 95 % interval of the quantity; each of shape (k,)."""
        low, high = self.value_interval.scaled(self.value_scale)
        return np.maximum(low, 0.0), np.minimum(high, self._largest)

    @property
    def phase_halfwidth(self) -> NDArray[np.float64]:
        """Half the arc about `phase` that contains the phase with 95 %, in radians; (k,)."""
        return np.minimum(self.phase_interval.scaled(self.phase_scale)[1], np.pi)

    @property
    def _largest(self) -> float:
        return 1.0 if self.quantity == "coherence" else np.inf
