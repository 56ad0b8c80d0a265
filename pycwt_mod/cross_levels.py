"""The level of a cross transform that two red noises exceed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Convention, Floats, check_level
from pycwt_mod.chi_square import chi2_quantile, cross_quantile
from pycwt_mod.pairs import lag1_of
from pycwt_mod.rednoise import ar1_spectrum
from pycwt_mod.wavelets import Wavelet


def cross_levels(
    y1: Floats,
    y2: Floats,
    freqs: Floats,
    level: float,
    wavelet: Wavelet,
    *,
    al1: float | None,
    al2: float | None,
    convention: Convention,
    normalize: bool,
) -> NDArray[np.float64]:
    """Return √(P1 P2) Z_ν(p)/ν (TC98 eq. 31), with pycwt's convention χ²_ν instead of Z_ν.

    One row of levels per pair; `freqs` are per sample. AR(1) is estimated where not given.
    """
    nu = wavelet.dofmin
    check_level("significance_level", level)
    quantile = chi2_quantile(level, nu) if convention == "pycwt" else cross_quantile(level, nu)
    first = _red_spectra(freqs, lag1_of("y1", y1, al1))
    second = _red_spectra(freqs, lag1_of("y2", y2, al2))
    levels = np.sqrt(first * second) * float(quantile) / nu
    if not normalize:
        for y in (y1, y2):
            levels *= np.nanstd(y, axis=-1, dtype=np.float64)[..., None]
    return np.asarray(levels)


def _red_spectra(freqs: Floats, lag1: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = [ar1_spectrum(freqs, float(g)) for g in lag1.ravel()]
    return np.array(rows).reshape(*lag1.shape, -1)
