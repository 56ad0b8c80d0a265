"""The level of a cross transform that two red noises exceed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention, Floats, check_level
from pycwt_mod.chi_square import chi2_quantile, cross_quantile
from pycwt_mod.magnitude import deviation
from pycwt_mod.rednoise import ar1_spectrum
from pycwt_mod.results import Lag1
from pycwt_mod.wavelets import Wavelet


def cross_levels(
    y1: Floats,
    y2: Floats,
    lag1: tuple[Lag1, Lag1],
    freqs: Floats,
    level: float,
    wavelet: Wavelet,
    *,
    convention: Convention,
    normalize: bool,
) -> NDArray[np.float64]:
    """Return √(P1 P2) Z_ν(p)/ν (TC98 eq. 31), with pycwt's convention χ²_ν instead of Z_ν.

    One row of levels per pair; `freqs` are per sample.
    """
    nu = wavelet.dofmin
    check_level("significance_level", level)
    quantile = chi2_quantile(level, nu) if convention == "pycwt" else cross_quantile(level, nu)
    first, second = (_red_spectra(freqs, each.g) for each in lag1)
    levels = np.sqrt(first * second) * float(quantile) / nu
    if not normalize:
        for y in (y1, y2):
            levels *= deviation(y)
    return np.asarray(levels)


def _red_spectra(freqs: Floats, lag1: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = [ar1_spectrum(freqs, float(g)) for g in lag1.ravel()]
    return np.array(rows).reshape(*lag1.shape, -1)
