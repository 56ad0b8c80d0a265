"""The level of a cross transform that two red noises exceed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention, Floats, check_level, deviation
from pycwt_mod.rednoise import ar1_spectrum
from pycwt_mod.results import Lag1
from pycwt_mod.significance.background import mean_power
from pycwt_mod.significance.chi_square import chi2_quantile, cross_quantile
from pycwt_mod.wavelets import Wavelet


def cross_levels(
    y1: Floats,
    y2: Floats,
    lag1: tuple[Lag1, Lag1],
    scales: Floats,
    level: float,
    wavelet: Wavelet,
    *,
    convention: Convention,
    normalize: bool,
) -> NDArray[np.float64]:
    """Return √(P1 P2) Z_ν(p)/ν (TC98 eq. 31), one row of levels per pair; `scales` in samples.

    P is the mean power of a row. With pycwt's convention it is the spectrum of the noise at the
    centre frequency, and χ²_ν stands in place of Z_ν.
    """
    nu = wavelet.dofmin
    level = check_level("significance_level", level)
    if convention == "pycwt":
        quantile = float(chi2_quantile(level, nu))
        first, second = (_centre_power(scales, each.g, wavelet) for each in lag1)
    else:
        quantile = cross_quantile(level, nu)
        first, second = mean_power(scales, np.stack([each.g for each in lag1]), wavelet)
    levels = np.sqrt(first * second) * quantile / nu
    if not normalize:
        for y in (y1, y2):
            levels *= deviation(y)
    return np.asarray(levels)


def _centre_power(
    scales: Floats, lag1: NDArray[np.float64], wavelet: Wavelet
) -> NDArray[np.float64]:
    freqs = 1 / (wavelet.fourier_factor * scales)
    rows = [ar1_spectrum(freqs, float(g)) for g in lag1.ravel()]
    return np.array(rows).reshape(*lag1.shape, -1)
