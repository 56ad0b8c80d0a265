"""The smoothing in time and in scale that coherence rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats
from pycwt_mod.wavelets import Wavelet


@dataclass(frozen=True)
class ScaleBoxcar:
    """A weighted sum over neighbouring scales: out[j] = Σ_i weights[i] rows[j + first + i].

    Rows beyond the ends count as zero, so the sums at the ends have less weight; coherence
    divides that out.
    """

    first: int
    weights: tuple[float, ...]

    @classmethod
    def of(cls, deltaj0: float, dj: float, convention: Convention) -> ScaleBoxcar:
        """Return the boxcar of a convention.

        ``"standard"``: [f, 1 … 1, f] with h = δj0/(2 dj), f = h mod 1 and 2 round(h) - 1 ones,
        as Grinsted's MATLAB toolbox and R's biwavelet have it. ``"pycwt"``: width
        round(2 δj0/dj), half weights at the ends, half a row off centre when that is even.
        """
        if convention == "pycwt":
            width = max(1, round(2 * deltaj0 / dj))
            window = np.ones(width)
            window[0] = window[-1] = 0.5
            # convolve2d's "same" centres at (width - 1) // 2 of the flipped window.
            return cls((width - 1) // 2 - (width - 1), tuple(window / window.sum()))
        half = deltaj0 / (2 * dj)
        reach = math.floor(half + 0.5)
        if reach == 0:
            return cls(0, (1.0,))
        window = np.ones(2 * reach + 1)
        window[0] = window[-1] = half % 1
        return cls(-reach, tuple(window / window.sum()))

    @property
    def last(self) -> int:
        """Offset of the last neighbour."""
        return self.first + len(self.weights) - 1

    @property
    def centre(self) -> float:
        """Mean offset of the neighbours: 0, or half a row where the boxcar is off centre."""
        return self.first + (len(self.weights) - 1) / 2

    def around(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Return the first neighbour of `row`, which may lie beyond the end, and the weights."""
        return row + self.first, self.weights

    def apply(self, rows: NDArray[Any], keep: slice) -> NDArray[Any]:
        """Return the sums for the rows `keep` of `rows`, whose scale axis is the last but one.

        Sums are taken in a fixed order without BLAS, so they don't depend on threads.
        """
        n_rows = rows.shape[-2]
        out = np.zeros((*rows.shape[:-2], keep.stop - keep.start, rows.shape[-1]), rows.dtype)
        for offset, weight in enumerate(self.weights, self.first):
            low = max(keep.start, -offset)
            high = min(keep.stop, n_rows - offset)
            if weight and high > low:
                part = rows[..., low + offset : high + offset, :] * rows.real.dtype.type(weight)
                out[..., low - keep.start : high - keep.start, :] += part
        return out


def gaussian_filter(scales: Floats, length: int, step: float = 1.0) -> Floats:
    """Return exp(-s²ω²/2) per scale (in samples) and FFT bin of rows sampled every `step`.

    Grinsted et al. (2004), section 2.3: the filter is |ψ0| of Morlet, normalised, at each scale.
    """
    omega = 2 * np.pi * scipy.fft.fftfreq(length, step)
    return np.asarray(np.exp(-0.5 * (scales[:, None] * omega) ** 2))


def convolve_in_time(rows: NDArray[Any], gauss: Floats) -> NDArray[Any]:
    """Return rows, shape (..., scales, time), smoothed in time; real if `rows` are.

    `gauss`, shape (scales, length), is from `gaussian_filter`; the rows are padded with zeros to
    its length.
    """
    length, n = gauss.shape[-1], rows.shape[-1]
    if np.isrealobj(rows):
        spectrum = scipy.fft.rfft(rows, length, axis=-1)
        spectrum *= gauss[:, : length // 2 + 1]
        return np.asarray(scipy.fft.irfft(spectrum, length, axis=-1, overwrite_x=True)[..., :n])
    spectrum = scipy.fft.fft(rows, length, axis=-1)
    spectrum *= gauss
    return np.asarray(scipy.fft.ifft(spectrum, axis=-1, overwrite_x=True)[..., :n])


def smooth_rows(
    rows: NDArray[Any], scales: Floats, length: int, boxcar: ScaleBoxcar
) -> NDArray[Any]:
    """Return S(rows), smoothed in time and then in scale; shape (scales, n), real if `rows` is.

    Scales are in samples; the rows are padded with zeros to `length`.
    """
    return boxcar.apply(
        convolve_in_time(rows, gaussian_filter(scales, length)), slice(0, len(rows))
    )


def smooth_in_time(waves: Complexes, gauss: Floats) -> tuple[Floats, Complexes]:
    """Return |W1|² and |W2|², and W1 W2*, smoothed in time.

    Each power has a real FFT of its own: in a complex one that both share, the rounding of the
    larger would hide the smaller.

    Parameters
    ----------
    waves : ndarray, shape (2, ..., scales, time), complex
    gauss : ndarray, shape (scales, length)
        As for `convolve_in_time`.

    Returns
    -------
    power : ndarray, shape (2, ..., scales, time)
    cross : ndarray, shape (..., scales, time), complex
    """
    power = np.square(waves.real)
    power += np.square(waves.imag)
    cross = waves[0] * np.conj(waves[1])
    return convolve_in_time(power, gauss), convolve_in_time(cross, gauss)


def coherence(power: tuple[Floats, Floats] | Floats, cross: Complexes) -> Floats:
    """Return R² = |S12|²/(S1 S2) from (S1, S2) and S12; 0 where a spectrum vanishes."""
    product = power[0] * power[1]
    numerator = cross.real**2 + cross.imag**2
    r2 = np.zeros_like(product)
    np.divide(numerator, product, out=r2, where=product > 0)
    return np.clip(r2, 0, 1, out=r2)


@lru_cache(maxsize=64)
def smoothed_radius(wavelet: Wavelet, tol: float) -> float:
    """Return the distance, at scale 1, beyond which a sample weighs less than `tol` in the end.

    In smoothed spectra, a sample at distance d enters through W(u) for every u: its weight is
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
