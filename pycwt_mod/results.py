"""What the transforms return: tuples in pycwt's order, with the rest as attributes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Complexes, Floats

#: The phase of what: W1 W2*, or S(W1 W2*/s), which is less noisy and of which R² is the size.
PhaseOf: TypeAlias = Literal["cross", "smoothed"]


def check_phase_of(phase_of: str) -> None:
    """Raise ValueError unless `phase_of` is one of the two."""
    if phase_of not in ("cross", "smoothed"):
        raise ValueError(f"{phase_of=} must be 'cross' or 'smoothed'")


class Lag1(NamedTuple):
    """Lag-1 coefficients that a level was computed with, and where they come from.

    Attributes
    ----------
    g : ndarray
        One coefficient per signal of a batch; of shape () for a single signal.
    estimator : ndarray of str
        "allen-smith" or "autocorrelation" (see `ar1`), or "given" by the caller.
    """

    g: NDArray[np.float64]
    estimator: NDArray[np.str_]


class _CwtFields(NamedTuple):
    coefs: Complexes
    scales: Floats
    freqs: Floats
    coi: Floats
    fft: Complexes
    fftfreqs: Floats


class CwtResult(_CwtFields):
    """What `cwt` returns; it unpacks as pycwt's six values.

    Attributes
    ----------
    coefs : ndarray, shape (..., scales, time), complex
        Always finite; see `mask`.
    scales, freqs : ndarray, shape (scales,)
        In units of `dt` and 1/`dt`.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    fft, fftfreqs : ndarray
        Spectrum of the padded signal over √n, without mean and Nyquist, and its frequencies.
        For white noise the mean of |fft|² is the variance, as it is for the wavelet power.
        pycwt's convention divides by the root of the padded length instead.
    mask : ndarray of bool, shape (..., scales, time)
        True within the cone of influence of a missing (NaN) sample. The ends of the record
        are not part of it: `coi` tells those.
    """

    mask: Bools

    def __new__(cls, *fields: NDArray[Any], mask: Bools | None = None) -> CwtResult:  # noqa: D102
        self = super().__new__(cls, *fields)
        self.mask = np.zeros(self.coefs.shape, np.bool_) if mask is None else mask
        return self


class _XwtFields(NamedTuple):
    cross: Complexes
    coi: Floats
    freqs: Floats
    signif: Floats


class XwtResult(_XwtFields):
    """What `xwt` returns; it unpacks as pycwt's four values.

    Attributes
    ----------
    cross : ndarray, shape (scales, time), complex
        W1 W2*; its argument is the phase by which the first signal leads.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    freqs : ndarray, shape (scales,)
    signif : ndarray, shape (scales,)
        Level of |cross|.
    mask : ndarray of bool, shape (scales, time)
        True within the cone of influence of a missing sample of either signal.
    lag1 : (Lag1, Lag1), or None
        Coefficients of both signals that `signif` was computed with.
    """

    mask: Bools
    lag1: tuple[Lag1, Lag1] | None

    def __new__(  # noqa: D102
        cls,
        *fields: NDArray[Any],
        mask: Bools | None = None,
        lag1: tuple[Lag1, Lag1] | None = None,
    ) -> XwtResult:
        self = super().__new__(cls, *fields)
        self.mask = np.zeros(self.cross.shape, np.bool_) if mask is None else mask
        self.lag1 = lag1
        return self


class _WctFields(NamedTuple):
    coherence: Floats
    phase: Floats
    coi: Floats
    freqs: Floats
    signif: Floats


class WctResult(_WctFields):
    """What `wct` returns; it unpacks as pycwt's five values.

    Attributes
    ----------
    coherence : ndarray, shape (scales, time)
        R², from 0 to 1.
    phase : ndarray, shape (scales, time), radians
        Argument of W1 W2*, by which the first signal leads; or of the smoothed one if that was
        asked for.
    coi : ndarray, shape (time,)
        Longest Fourier period free of edge effects.
    freqs : ndarray, shape (scales,)
    signif : ndarray, shape (scales,)
        Level of R² by Monte Carlo (see `wct_significance`); ``[0]`` with ``sig=False``.
    mask : ndarray of bool, shape (scales, time)
        True within the cone of influence of a missing sample of either signal.
    smoothed : ndarray, shape (2, ..., scales, time)
        Real and imaginary part of the smoothed cross spectrum S(W1 W2*/s).
    lag1 : (Lag1, Lag1), or None
        Coefficients of both signals that `signif` was computed with; None with ``sig=False``.
    """

    smoothed: Floats
    mask: Bools
    lag1: tuple[Lag1, Lag1] | None

    def __new__(  # noqa: D102
        cls,
        *fields: NDArray[Any],
        smoothed: Floats | None = None,
        mask: Bools | None = None,
        lag1: tuple[Lag1, Lag1] | None = None,
    ) -> WctResult:
        self = super().__new__(cls, *fields)
        if smoothed is None:
            smoothed = np.stack([np.cos(self.phase), np.sin(self.phase)])
        self.smoothed = smoothed
        self.mask = np.zeros(self.coherence.shape, np.bool_) if mask is None else mask
        self.lag1 = lag1
        return self

    def with_levels(self, signif: Floats, lag1: tuple[Lag1, Lag1] | None = None) -> WctResult:
        """Return the same with other levels (scales,), computed with the coefficients `lag1`."""
        fields = (self.coherence, self.phase, self.coi, self.freqs, signif)
        return WctResult(*fields, smoothed=self.smoothed, mask=self.mask, lag1=lag1)

    @property
    def smoothed_phase(self) -> Floats:
        """Argument of the smoothed cross spectrum in radians, less noisy than `phase`."""
        return np.asarray(np.arctan2(self.smoothed[1], self.smoothed[0]))
