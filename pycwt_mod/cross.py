"""The cross wavelet transform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Convention,
    Floats,
    check_convention,
    check_level,
)
from pycwt_mod.chi_square import cross_quantile
from pycwt_mod.pairs import check_pair, lag1_of
from pycwt_mod.planning import plan_for
from pycwt_mod.rednoise import ar1_spectrum
from pycwt_mod.results import XwtResult
from pycwt_mod.wavelets import Wavelet


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
    axis: int = -1,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
) -> XwtResult:
    """Cross wavelet transform W1(s, n) W2*(s, n).

    Parameters
    ----------
    y1, y2 : array_like, shape (n,) or batches along `axis`
        Signals sampled together; NaN means missing.
    dt, dj, s0, J, wavelet, axis, workers, max_bytes, rtol
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
        ``(cross, coi, freqs, signif)``; for batches all but `coi` and `freqs` have their axes.

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
    first, second = check_pair(y1, y2, axis)
    lag1, lag2 = lag1_of("y1", first, al1), lag1_of("y2", second, al2)
    analysis = plan_for(first, dt, dj, s0, J, wavelet, convention=convention, rtol=rtol)
    found = analysis.xwt(first, second, normalize=normalize, workers=workers, max_bytes=max_bytes)
    nu = analysis.wavelet.dofmin
    if convention == "pycwt":
        quantile = float(chi2.ppf(significance_level, nu))
    else:
        quantile = cross_quantile(significance_level, nu)
    freqs = analysis.freqs * dt
    theory = np.sqrt(red_spectra(freqs, lag1) * red_spectra(freqs, lag2))
    if not normalize:
        deviations = [np.nanstd(y, axis=-1, dtype=np.float64) for y in (first, second)]
        theory *= (deviations[0] * deviations[1])[..., None]
    return XwtResult(found.cross, found.coi, found.freqs, theory * quantile / nu, mask=found.mask)


def red_spectra(freqs: Floats, lag1: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return AR(1) spectra, one row per coefficient."""
    rows = [ar1_spectrum(freqs, float(g)) for g in lag1.ravel()]
    return np.array(rows).reshape(*lag1.shape, -1)
