"""Wavelet power of red noise: the exact mean and variance of rows and of their averages.

A coefficient is a Gaussian variable whose variance is the noise's spectrum integrated over the
wavelet's band. Equation 16 of Torrence & Compo (1998) takes the spectrum at the centre of the
band instead, which is close for a narrow band (Morlet) and far off for a wide one (Paul, DOG).
All frequencies here are in radians per sample, all scales in samples.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import Floats
from pycwt_mod.rednoise import ar1_spectrum
from pycwt_mod.wavelets import Wavelet

Numbers = NDArray[np.float64]

#: Where a band is cut, as a part of the wavelet's maximum: 1e-8 of its power.
_BAND_TOL = 1e-4
#: Nodes of the integral over a band.
_NODES = 48
#: Frequencies per band where rows are compared with each other.
_STEPS_PER_BAND = 64
#: Longest lag of an autocovariance, in scales; beyond, it has vanished.
_LAG_SCALES = 32
#: Rows of autocovariances computed at a time.
_ROWS_AT_ONCE = 128


def mean_power(scales: Floats, lag1: ArrayLike, wavelet: Wavelet) -> Numbers:
    """Return the mean of |W|² for AR(1) noise of unit variance.

    It is ∫ P(ω) s |ψ̂(sω)|² dω over all frequencies up to Nyquist, which may cut the band.

    Parameters
    ----------
    scales : ndarray, shape (scales,)
        In samples.
    lag1 : array_like
        AR(1) coefficients per sample.
    wavelet : Wavelet

    Returns
    -------
    ndarray, shape (*lag1.shape, scales)

    Examples
    --------
    >>> from pycwt_mod import Paul
    >>> white = mean_power(np.array([2.0, 100.0]), 0.0, Paul())
    >>> [round(float(power), 2) for power in white]
    [0.88, 1.0]
    """
    low, high = wavelet.frequency_band(_BAND_TOL)
    nodes, weights = _legendre()
    # One end for all rows that Nyquist doesn't cut; of the others, which may have nothing but the
    # flank of their band, all is counted.
    ends, place = np.unique(np.minimum(high, math.pi * scales), return_inverse=True)
    starts = np.where(ends < high, 0.0, low)
    widths = ends - starts
    x = starts[:, None] + widths[:, None] * nodes
    density = (_sides(wavelet) * widths[:, None] * weights * _squared(wavelet, x))[place]
    sine = 4 * np.sin(x[place] / scales[:, None] / 2) ** 2
    lags = np.asarray(lag1, dtype=np.float64)
    # |1 - g exp(-iω)|² = (1 - g)² + 4 g sin²(ω/2), without cancellation near g = 1.
    rows = [np.sum(density * (1 - g**2) / ((1 - g) ** 2 + g * sine), axis=-1) for g in lags.flat]
    return np.array(rows).reshape(*lags.shape, len(scales))


def time_averaged_dof(
    scales: Numbers, points: Numbers, lag1: float, wavelet: Wavelet
) -> NDArray[np.float64]:
    """Return the degrees of freedom ν = 2μ²/Var of the mean of |W|² over `points` samples.

    With the autocovariance C(τ) of a row, Var = Σ (1 - |τ|/n) |C(τ)|²/n, twice that for a real
    wavelet. Rows are sampled at every D-th sample, as far as their band allows.
    """
    high = wavelet.frequency_band(_BAND_TOL)[1]
    step = 2.0 ** np.maximum(np.floor(np.log2(scales / high)), 0)
    length = 2 ** math.ceil(math.log2(2 * _LAG_SCALES * 2 * high))
    nu = [
        _dof_of_rows(scales[rows], step[rows], points[rows], lag1, wavelet, length)
        for rows in (
            slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(scales), _ROWS_AT_ONCE)
        )
    ]
    return np.concatenate(nu)


def _dof_of_rows(
    scales: Numbers,
    step: Numbers,
    points: Numbers,
    lag1: float,
    wavelet: Wavelet,
    length: int,
) -> Numbers:
    omega = 2 * math.pi / length * np.arange(length // 2 + 1)
    thinned, count = (scales / step)[:, None], (points / step)[:, None]
    spectrum = ar1_spectrum(omega / step[:, None] / (2 * math.pi), lag1)
    spectrum *= thinned * _squared(wavelet, thinned * omega)
    spectrum[:, 0] = 0
    if wavelet.analytic:
        spectrum[:, -1] /= 2
        covariance = np.abs(scipy.fft.ifft(spectrum, length)[:, : length // 2])
    else:
        covariance = scipy.fft.irfft(spectrum, length)[:, : length // 2]
    lags = np.arange(length // 2)
    weights = np.maximum(1 - lags / count, 0) * np.where(lags, 2, 1)
    variance_of_row = covariance[:, :1]
    ratio = np.ones_like(covariance)
    np.divide(covariance, variance_of_row, out=ratio, where=variance_of_row > 0)
    variance = np.sum(weights * ratio**2, axis=-1) / np.sum(weights, axis=-1)
    return np.asarray(wavelet.dofmin / variance)


def scale_average_moments(
    scales: Numbers, weights: Numbers, lag1: float, wavelet: Wavelet
) -> tuple[float, float]:
    """Return the mean of Σ weights |W|² for AR(1) noise of unit variance, and its ν = 2μ²/Var.

    The variance follows from the covariances between the rows at one instant.
    """
    low, high = wavelet.frequency_band(_BAND_TOL)
    last = min(high / scales.min(), math.pi)
    first = min(max(low, 1e-3 * high) / scales.max(), last / 8)
    step = math.log(high / max(low, 1e-3 * high)) / _STEPS_PER_BAND
    log_omega = np.linspace(
        math.log(first), math.log(last), math.ceil(math.log(last / first) / step) + 2
    )
    omega = np.exp(log_omega)
    density = ar1_spectrum(omega / (2 * math.pi), lag1) * omega * (log_omega[1] - log_omega[0])
    density[[0, -1]] /= 2
    rows = np.sqrt(scales)[:, None] * wavelet.psi_ft(scales[:, None] * omega)
    covariance = _sides(wavelet) * (rows * density) @ rows.conj().T
    size = np.abs(covariance) if wavelet.analytic else covariance.real
    mean = float(weights @ np.diag(size))
    variance = 2 / wavelet.dofmin * float(weights @ size**2 @ weights)
    return mean, 2 * mean**2 / variance


def _squared(wavelet: Wavelet, x: Numbers) -> Numbers:
    return np.asarray(np.abs(wavelet.psi_ft(x)) ** 2)


def _sides(wavelet: Wavelet) -> int:
    """Return the number of sides of the spectrum: a real wavelet has negative frequencies, too."""
    return 1 if wavelet.analytic else 2


@lru_cache(maxsize=1)
def _legendre() -> tuple[Numbers, Numbers]:
    """Return nodes and weights of the Gauss-Legendre quadrature on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1) / 2, weights / 2
