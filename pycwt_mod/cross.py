"""The cross wavelet transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Bools,
    Complexes,
    Convention,
    Floats,
    as_series,
    check_convention,
    check_lag1,
    check_level,
)
from pycwt_mod.chi_square import cross_quantile
from pycwt_mod.rednoise import ar1_spectrum, estimate_ar1
from pycwt_mod.transform import cwt
from pycwt_mod.wavelets import Wavelet, as_wavelet


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
    """

    mask: Bools

    def __new__(cls, *fields: NDArray[Any], mask: Bools | None = None) -> XwtResult:  # noqa: D102
        self = super().__new__(cls, *fields)
        self.mask = np.zeros(self.cross.shape, np.bool_) if mask is None else mask
        return self


def check_pair(y1: ArrayLike, y2: ArrayLike) -> tuple[Floats, Floats]:
    """Return both signals as series of equal length and type."""
    first, second = as_series("y1", y1), as_series("y2", y2)
    if len(first) != len(second):
        raise ValueError(f"y1 has {len(first)} samples and y2 {len(second)}; they must be equal")
    kind = np.result_type(first, second)
    return first.astype(kind), second.astype(kind)


def standardise(name: str, y: Floats) -> Floats:
    """Return (y - mean)/std over the valid samples, NaN kept.

    Raises
    ------
    ValueError
        If the signal is constant.
    """
    wide = y.astype(np.float64)
    std = float(np.nanstd(wide))
    if std <= 4 * np.finfo(y.dtype).eps * float(np.nanmax(np.abs(wide))):
        raise ValueError(f"{name} is constant, so it can't be divided by its standard deviation")
    return np.asarray((wide - np.nanmean(wide)) / std).astype(y.dtype)


def lag1_of(name: str, y: Floats, given: float | None) -> float:
    """Return the caller's AR(1) coefficient if given, otherwise the estimate."""
    return estimate_ar1(y, name).g if given is None else check_lag1(f"al of {name}", given)


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
