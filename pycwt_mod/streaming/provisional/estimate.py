"""Estimates of coefficients whose wavelets reach beyond the newest sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Summarised, check_count, check_level, span
from pycwt_mod.streaming.provisional.autoregression import MAX_ORDER
from pycwt_mod.streaming.provisional.intervals import amplitude_interval, phase_interval

__all__ = ["Estimate", "Provisional"]


@dataclass(frozen=True, kw_only=True)
class Provisional:
    """Options of provisional estimates.

    Attributes
    ----------
    max_error : float, optional
        Between 0 and 1: each row is estimated at the smallest delay at which its standard error
        is below this part of the row's RMS, both according to the model.
    delay_s : float, optional
        Distance between the newest sample and the estimate, in seconds, for all rows. Either this
        or `max_error` is needed.
    max_order : int
        Largest order of the autoregressive model.

    Raises
    ------
    ValueError
        If both or neither of `max_error` and `delay_s` are passed, or a value is out of range.
    """

    max_error: float | None = None
    delay_s: float | None = None
    max_order: int = MAX_ORDER

    def __post_init__(self) -> None:
        if (self.max_error is None) == (self.delay_s is None):
            raise ValueError(
                f"max_error={self.max_error!r} and delay_s={self.delay_s!r}: pass one of them"
            )
        if self.max_error is not None:
            check_level("max_error", self.max_error)
        elif not (isinstance(self.delay_s, int | float) and 0 <= self.delay_s < np.inf):
            raise ValueError(f"delay_s={self.delay_s!r} must be a finite number >= 0")
        check_count("max_order", self.max_order)

    def lag(self, fs_hz: float) -> int:
        """Return the fixed delay in samples; 0 with `max_error`."""
        return 0 if self.delay_s is None else round(self.delay_s * fs_hz)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Estimate(Summarised):
    """The newest estimates of one channel, one for each row.

    The error W - Ŵ is a complex normal number of mean 0. Rows without a model yet are NaN.

    Attributes
    ----------
    channel : int
    newest_sample : int
        Index of the last sample that the estimates know.
    freqs_hz : ndarray, shape (k,)
    samples : ndarray of int, shape (k,)
        The sample that each estimate is at.
    values : ndarray of complex, shape (k,)
        Ŵ, in units of the signal, normalised like the final values.
    variance : ndarray, shape (k,)
        V = E|W - Ŵ|² according to the model.
    pseudo_variance : ndarray of complex, shape (k,)
        C = E(W - Ŵ)² according to the model.
    rms : ndarray, shape (k,)
        √E|W|² according to the model.
    order : ndarray of int, shape (k,)
        Order of the model; 0 is white noise, whose forecast is the mean.
    amplitude_scale, phase_scale : ndarray, shape (k,)
        Factors by which the intervals are wider than those of the model, so that they contain
        95 % of the exact values.
    fs_hz : float
        Sampling rate.
    """

    channel: int
    newest_sample: int
    freqs_hz: NDArray[np.float64]
    samples: NDArray[np.int64]
    values: Complexes
    variance: NDArray[np.float64]
    pseudo_variance: Complexes
    rms: NDArray[np.float64]
    order: NDArray[np.int64]
    amplitude_scale: NDArray[np.float64]
    phase_scale: NDArray[np.float64]
    fs_hz: float

    def _facts(self) -> dict[str, str]:
        return {
            "channel": str(self.channel),
            "newest sample": str(self.newest_sample),
            "frequencies": span(self.freqs_hz, "Hz"),
            "delays": span(self.delay_s, "s"),
            "relative errors": span(self.std / self.rms),
        }

    @property
    def delay_s(self) -> NDArray[np.float64]:
        """Time from each estimate to the newest sample, in seconds; shape (k,)."""
        return np.asarray((self.newest_sample - self.samples) / self.fs_hz)

    @property
    def std(self) -> NDArray[np.float64]:
        """√V: standard error of the estimates according to the model; shape (k,)."""
        return np.asarray(np.sqrt(self.variance))

    @property
    def amplitude(self) -> NDArray[np.float64]:
        """|Ŵ|; shape (k,)."""
        return np.asarray(np.abs(self.values))

    @property
    def phase(self) -> NDArray[np.float64]:
        """Arg Ŵ in radians; shape (k,)."""
        return np.asarray(np.angle(self.values))

    @cached_property
    def amplitude_interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the 95 % interval of |W|; each of shape (k,)."""
        interval = amplitude_interval(self.values, self.variance, self.pseudo_variance)
        low, high = interval.scaled(self.amplitude_scale)
        return np.maximum(low, 0.0), high

    @cached_property
    def phase_halfwidth(self) -> NDArray[np.float64]:
        """Half the arc about `phase` that contains the phase with 95 %, in radians; (k,)."""
        interval = phase_interval(self.values, self.variance, self.pseudo_variance)
        return np.minimum(interval.scaled(self.phase_scale)[1], np.pi)
