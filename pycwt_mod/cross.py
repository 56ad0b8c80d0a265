"""The cross wavelet transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Convention,
    check_convention,
    check_level,
)
from pycwt_mod.chi_square import cross_quantile
from pycwt_mod.pairs import check_pair, lag1_of, standardise
from pycwt_mod.rednoise import ar1_spectrum
from pycwt_mod.results import XwtResult
from pycwt_mod.transform import cwt
from pycwt_mod.wavelets import Wavelet, as_wavelet


def xwt(
    y1: ArrayLike | Sequence[float],
    y2: ArrayLike | Sequence[float],
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    significance_level: float = 0.95,
    wavelet: Wavelet | str = "morlet",
    normalize: bool = True,
    *,
    convention: Convention = "standard",
    al1: float | None = None,
    al2: float | None = None,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
) -> XwtResult:
    """Cross wavelet transform W1(s, n) W2*(s, n).

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
        Signals sampled together; NaN means missing.
    dt, dj, s0, J, wavelet, workers, max_bytes
        As in `cwt`.
    significance_level : float
        p, between 0 and 1.
    normalize : bool
        Divide by the standard deviations; if not, the result is in the product of the units.
    convention : {"standard", "pycwt"}
        Also decides the level: Z_ν(p)/ν of the product of two χ² (eq. 31), or pycwt's χ²_ν/ν,
        which is 1.5 times too high.
    al1, al2 : float, optional
        AR(1) coefficients; estimated if not given.

    Returns
    -------
    XwtResult
        ``(cross, coi, freqs, signif)``.

    Raises
    ------
    ValueError
        If an argument is out of range, the lengths differ, or a signal is constant.

    References
    ----------
    Torrence & Compo (1998), eq. 30-31. Grinsted et al. (2004), doi:10.5194/npg-11-561-2004
    """
    check_convention(convention)
    check_level("significance_level", significance_level)
    mother = as_wavelet(wavelet)
    first, second = check_pair(y1, y2)
    lag1, lag2 = lag1_of("y1", first, al1), lag1_of("y2", second, al2)
    scale = 1.0
    if normalize:
        w1_in, w2_in = standardise("y1", first), standardise("y2", second)
    else:
        w1_in, w2_in = first, second
        scale = float(np.nanstd(first, dtype=np.float64) * np.nanstd(second, dtype=np.float64))
    options: dict[str, Any] = {"convention": convention, "workers": workers, "max_bytes": max_bytes}
    t1 = cwt(w1_in, dt, dj, s0, J, mother, **options)
    t2 = cwt(w2_in, dt, dj, s0, J, mother, **options)
    nu = mother.dofmin
    if convention == "pycwt":
        quantile = float(chi2.ppf(significance_level, nu))
    else:
        quantile = cross_quantile(significance_level, nu)
    theory = np.sqrt(ar1_spectrum(t1.freqs * dt, lag1) * ar1_spectrum(t1.freqs * dt, lag2))
    cross = t1.coefs
    mask = t1.mask | t2.mask
    cross *= np.conj(t2.coefs)
    return XwtResult(cross, t1.coi, t1.freqs, scale * theory * quantile / nu, mask=mask)
