"""Where a row of a transform, or of a smoothed spectrum, lives in frequency and in time."""

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

    def crosses_nyquist(self, scale: float) -> bool:
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


@lru_cache(maxsize=64)
def smoothed_radius(wavelet: Wavelet, tol: float) -> float:
    """Return the reach of a sample in smoothed spectra, at scale 1: beyond, it weighs below `tol`.

    A sample at distance d enters through W(u) for every u: its weight is
    |ψ(u - d)| exp(-u²/2), largest over u. For Morlet this is exp(-d²/4), so the radius is
    √2 times the wavelet's own, not the sum of the wavelet's and the filter's.
    """
    u = np.linspace(0, 1.2 * math.sqrt(-2 * math.log(tol)), 301)
    peak = float(np.abs(wavelet.psi(np.linspace(0, 10, 2001))).max())
    gauss = np.exp(-(u**2) / 2)
    low, high = 0.0, wavelet.time_radius(tol) + float(u[-1])
    beyond = np.linspace(0, 2, 41)
    while high - low > 0.01:
        d = (low + high) / 2
        weight = np.abs(wavelet.psi(d + beyond[:, None] - u)) * gauss
        low, high = (d, high) if weight.max() > tol * peak else (low, d)
    return high


@lru_cache(maxsize=64)
def coherence_bandwidth(wavelet: Wavelet, tol: float) -> float:
    """Return the sampling frequency 2π/D, at scale 1, that smoothed spectra need.

    |W|² is twice as wide as W, but the time filter passes |ω| < r alone. So aliases from
    ω + 2π/D matter only as the product of the autocorrelation C of the band and the filter:
    the answer is the smallest A with C(A - ω) exp(-ω²/2) < `tol` C(0) for all ω. For Morlet
    C(ω) = exp(-ω²/4), which gives A = √3 r with r = √(-2 ln tol).
    """
    low, high = wavelet.frequency_band(1e-12)
    low = low if wavelet.analytic else -high
    spacing = 0.02
    band = np.abs(wavelet.psi_ft(np.arange(low, high, spacing)))
    auto = np.convolve(band, band[::-1])[len(band) - 1 :]
    auto /= auto[0]
    filter_ = np.exp(-0.5 * (np.arange(len(auto)) * spacing) ** 2)
    # Worst over ω of C(A - ω) exp(-ω²/2), in logs a max-plus convolution, on a coarser grid.
    coarse = 5
    c, g = auto[::coarse], filter_[::coarse]
    worst = [float((c[k::-1] * g[: k + 1]).max()) for k in range(len(c))]
    above = np.flatnonzero(np.array(worst) > tol)
    return float((above[-1] + 2) * spacing * coarse)
