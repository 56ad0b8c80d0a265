"""Where on the frequency axis a row of a transform lives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pycwt_mod.arrays import Convention, check_level
from pycwt_mod.wavelets import Wavelet

#: Default part of the row's maximum that may be lost, per precision of the signal.
DEFAULT_RTOL = {"f": 1e-6, "d": 1e-12}
_GRID_POINTS = 20_001
#: Radians per sample of a band that lies beyond the Nyquist frequency altogether.
_NARROWEST = 1e-6


@dataclass(frozen=True)
class Band:
    """The s·ω between which a wavelet exceeds `tol` of its maximum, and its reach in time.

    For Morlet it is [ω0 - r, ω0 + r] with r = √(-2 ln tol), cut at zero if `two_sided` is False.
    """

    low: float
    high: float
    radius: float

    @classmethod
    def of(cls, wavelet: Wavelet, tol: float, convention: Convention) -> Band:
        """Return the band as `convention` has it: with pycwt, negative frequencies count."""
        return _band(wavelet, tol, is_two_sided(wavelet, convention))

    def rings(self, scale: float) -> bool:
        """Whether the Nyquist frequency cuts the band, so that the row rings far in time."""
        return max(self.high, -self.low) > math.pi * scale

    def octave_width(self, scale: float) -> float:
        """Return the width in radians per sample of all bands from `scale` to twice as much."""
        low = self.low / (2 if self.low > 0 else 1)
        nyquist = math.pi * scale
        width = (min(self.high, nyquist) - max(low, -nyquist)) / scale
        return max(width, _NARROWEST)

    def bins(self, smallest: float, largest: float, length: int) -> tuple[int, int]:
        """Return the first and last bin of an FFT that scales in this range need."""
        per_radian = length / (2 * math.pi)
        low = self.low / (largest if self.low > 0 else smallest)
        return math.floor(low * per_radian), math.ceil(self.high / smallest * per_radian)


@lru_cache(maxsize=64)
def _band(wavelet: Wavelet, tol: float, two_sided: bool) -> Band:
    low, high = wavelet.frequency_band(tol)
    if two_sided:
        x = np.linspace(-high, high, _GRID_POINTS)
        size = np.abs(wavelet.psi_ft(x))
        above = np.flatnonzero(size > tol * size.max())
        low = min(low, float(x[max(above[0] - 1, 0)]))
    return Band(low, high, wavelet.time_radius(tol))


def is_two_sided(wavelet: Wavelet, convention: Convention) -> bool:
    """Return whether negative frequencies count: always with pycwt, else for real wavelets."""
    return convention == "pycwt" or not wavelet.analytic


def allowed_bins(wavelet: Wavelet, convention: Convention, length: int) -> tuple[int, int]:
    """Return the first and last bin that count; the Nyquist bin is where `convention` has it.

    Torrence & Compo count it among the positive frequencies, pycwt among the negative ones.
    """
    if convention == "pycwt":
        return -(length // 2), (length - 1) // 2
    return (-((length - 1) // 2) if not wavelet.analytic else 1), length // 2


def used_bins(
    wavelet: Wavelet,
    band: Band,
    smallest: float,
    largest: float,
    convention: Convention,
    length: int,
) -> tuple[int, int]:
    """Return the first and last bin that count and that scales in this range need."""
    first, last = allowed_bins(wavelet, convention, length)
    low, high = band.bins(smallest, largest, length)
    first = min(max(first, low), last)
    return first, max(first, min(last, high))


def resolve_rtol(rtol: float | None, dtype: np.dtype[Any]) -> float:
    """Return the caller's `rtol`, or the default of the precision."""
    return DEFAULT_RTOL[dtype.char] if rtol is None else check_level("rtol", rtol)
