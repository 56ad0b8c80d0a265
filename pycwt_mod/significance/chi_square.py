"""Thresholds of power and of cross spectra that follow from a distribution, without simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma as gamma_function
from scipy.special import gammaincinv, kv

from pycwt_mod.arrays import (
    Convention,
    Floats,
    Summarised,
    as_series,
    check_convention,
    check_lag1,
    check_level,
    check_positive,
    deviation,
    octave_weights,
    positive_axis,
    real_array,
    span,
    unit_scaled,
    within_band,
)
from pycwt_mod.rednoise import Lag1, ar1_spectrum, estimate_ar1
from pycwt_mod.significance.background import mean_power, scale_average_moments, time_averaged_dof
from pycwt_mod.wavelets import Wavelet, WaveletLike, as_wavelet

Levels = NDArray[np.float64]

#: Range of variances, from this to its inverse: thresholds of red noise, which are up to 1e6 times
#: the variance, are then within the range of float64.
_LEAST_VARIANCE = 1e-302


class _SignificanceFields(NamedTuple):
    signif: Any
    fft_theor: Any


class Significance(Summarised, _SignificanceFields):
    """Thresholds and the theoretical spectrum, in pycwt's order.

    Attributes
    ----------
    signif : ndarray, shape (scales,), or float for `sigma_test=2`
    fft_theor : ndarray, shape (scales,), or float for `sigma_test=2`
        Mean of |W|² under the null hypothesis; in pycwt's convention the spectrum of the noise
        at the centre frequency (eq. 16).
    """

    def _facts(self) -> dict[str, str]:
        return {
            "scales": str(np.size(self.signif)),
            "threshold of power": span(np.atleast_1d(self.signif)),
            "theoretical power": span(np.atleast_1d(self.fft_theor)),
        }


def significance(
    signal: ArrayLike | Sequence[float] | float,
    dt: float,
    scales: ArrayLike,
    sigma_test: Literal[0, 1, 2] = 0,
    alpha: float | None = None,
    significance_level: float = 0.95,
    dof: ArrayLike = -1,
    wavelet: WaveletLike = "morlet",
    *,
    convention: Convention = "standard",
) -> Significance:
    """Threshold that red noise exceeds in a wavelet power spectrum with probability 1 - p.

    The threshold is μ χ²_ν(p)/ν. The convention determines the mean power μ and the degrees of
    freedom ν.

    Parameters
    ----------
    signal : array_like or float
        The series, or its variance.
    dt : float
        Sampling interval.
    scales : array_like, shape (scales,)
        From `cwt`, in any order. For test 2 each is weighted by the octaves it represents.
    sigma_test : {0, 1, 2}
        0: one coefficient (eq. 18). 1: average over time (eq. 23). 2: average over scales,
        as `scale_average` computes it (eq. 25-28).
    alpha : float, optional
        Lag-1 autocorrelation; estimated from `signal` if not given, 0 if that is a variance.
    significance_level : float
        p, the significance level, between 0 and 1.
    dof : array_like
        For test 1, number of points averaged, one for all scales or one per scale (-1: the
        degrees of freedom of one coefficient). For test 2, the scales [s1, s2].
    wavelet : Wavelet or str
    convention : {"standard", "pycwt"}
        "standard": μ is the spectrum of the noise integrated over the wavelet's band, as far as
        Nyquist lets it reach, and ν = 2μ²/Var for the tests 1 and 2, from the covariances
        between times or scales. "pycwt": the spectrum at the centre frequency (eq. 16), and the
        empirical ν of eq. 23 and 28. That is close for Morlet, and wrong for a wide band: the
        5 % test 1 of AR(1) noise with 0.6 at a period of 4 samples then has 9 % false
        positives for Morlet, 57 % for Paul 4 and 81 % for DOG 2.

    Returns
    -------
    Significance
        ``(signif, fft_theor)``, both in units of the variance.

    Raises
    ------
    ValueError
        If an argument is out of range, or the wavelet's γ or δj0 is unknown and needed.

    References
    ----------
    Torrence & Compo (1998), eq. 16-18, 23, 25-28,
    doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2

    Examples
    --------
    >>> level = significance(1.0, 1.0, [4.0, 8.0], alpha=0.0)
    >>> [round(float(x), 2) for x in level.signif]
    [3.0, 3.0]
    """
    if sigma_test not in (0, 1, 2):
        raise ValueError(f"{sigma_test=} must be 0, 1 or 2")
    check_convention(convention)
    mother = as_wavelet(wavelet)
    dt = check_positive("dt", dt)
    significance_level = check_level("significance_level", significance_level)
    s = positive_axis("scales", scales)
    variance, lag1 = _variance_and_lag1(signal, alpha)
    exact = convention == "standard"
    if exact:
        theory = variance * mean_power(s / dt, lag1, mother)
    else:
        theory = variance * ar1_spectrum(dt / (s * mother.fourier_factor), lag1)
    if sigma_test == 0:
        quantile = chi2_quantile(significance_level, mother.dofmin) / mother.dofmin
        return Significance(theory * quantile, theory)
    if sigma_test == 1:
        points = _points(dof, s.size, mother.dofmin)
        if exact:
            nu = time_averaged_dof(s / dt, points, lag1, mother)
        else:
            nu = mother.dofmin * np.sqrt(1 + (points * dt / mother.gamma / s) ** 2)
        return Significance(theory * chi2_quantile(significance_level, nu) / nu, theory)
    chosen = _band(s, dof)
    if exact:
        return _scale_averaged(variance, lag1, s, chosen, dt, significance_level, mother)
    return _empirically_averaged(theory, s, chosen, dt, dof, significance_level, mother)


def _variance_and_lag1(
    signal: ArrayLike | Sequence[float] | float, alpha: float | None
) -> tuple[float, float]:
    if np.ndim(signal) == 0:
        variance = check_positive("signal (a variance)", signal)
        return variance, 0.0 if alpha is None else check_lag1("alpha", alpha)
    series = as_series("signal", signal)
    scaled, exponent = unit_scaled(series)
    std = float(np.nanstd(scaled))
    if std <= 4 * float(np.finfo(series.dtype).eps) * float(np.nanmax(np.abs(scaled))):
        raise ValueError("signal is constant, so it has no variance to compare with")
    with np.errstate(over="ignore", under="ignore"):
        variance = float(np.ldexp(std**2, 2 * exponent[0]))
    if not _LEAST_VARIANCE <= variance <= 1 / _LEAST_VARIANCE:
        raise ValueError(
            "cannot compute thresholds in units of the signal squared: its standard deviation "
            f"{float(np.ldexp(std, exponent[0])):g} has a square out of the range of float64; "
            "divide the signal by a constant"
        )
    return variance, (
        estimate_ar1(series, "signal").g if alpha is None else check_lag1("alpha", alpha)
    )


def _points(dof: ArrayLike, n_scales: int, dofmin: int) -> Levels:
    points = real_array("dof", dof)
    if points.ndim == 0 and points == -1:
        points = np.asarray(float(dofmin))
    if points.shape not in ((), (1,), (n_scales,)):
        raise ValueError(f"dof has shape {points.shape}, but must be one number or {n_scales}")
    return np.maximum(np.broadcast_to(points, (n_scales,)), 1.0)


def _band(s: Levels, dof: ArrayLike) -> NDArray[np.bool_]:
    """Return which scales an average over the scales `dof` has."""
    ends = real_array("dof", dof)
    if ends.shape != (2,) or not 0 < ends[0] <= ends[1]:
        raise ValueError(f"{dof=} must be [s1, s2] with 0 < s1 <= s2 for sigma_test=2")
    if np.unique(s).size < 2:
        raise ValueError("scales has one value, but an average over scales needs 2")
    return within_band("dof", ends, s)


def _scale_averaged(
    variance: float,
    lag1: float,
    s: Levels,
    chosen: NDArray[np.bool_],
    dt: float,
    level: float,
    mother: Wavelet,
) -> Significance:
    """Return the threshold of `scale_average` from the covariances between scales."""
    share = octave_weights("scales", s, None)[chosen] / s[chosen]
    mean, nu = scale_average_moments(s[chosen] / dt, share * dt / mother.cdelta, lag1, mother)
    theory = float(share @ mean_power(s[chosen] / dt, lag1, mother) / share.sum())
    quantile = float(chi2_quantile(level, nu) / nu)
    return Significance(variance * mean * quantile, variance * theory)


def _empirically_averaged(
    theory: Levels,
    s: Levels,
    chosen: NDArray[np.bool_],
    dt: float,
    dof: ArrayLike,
    level: float,
    mother: Wavelet,
) -> Significance:
    """Return the threshold of an average over scales by eq. 25 to 28."""
    first, last = np.asarray(dof, dtype=np.float64)
    # With the weights δj of each scale: n_a δj is the band's width, n_a S_avg a mean scale.
    octaves = octave_weights("scales", s, None)[chosen]
    width, inverse = float(octaves.sum()), float(np.sum(octaves / s[chosen]))
    s_mid = math.sqrt(first * last)
    nu = mother.dofmin * width / inverse / s_mid * math.hypot(1, width / mother.deltaj0)
    spectrum = float(np.sum(octaves * theory[chosen] / s[chosen])) / inverse
    quantile = float(chi2_quantile(level, nu) / nu)
    return Significance(dt / mother.cdelta * inverse * spectrum * quantile, spectrum)


def chi2_quantile(level: float, nu: ArrayLike) -> Levels:
    """χ²_ν(p), the quantile of a χ² variable with `nu` degrees of freedom.

    The formula of ``scipy.stats.chi2.ppf``, without loading ``scipy.stats``.

    Examples
    --------
    >>> round(float(chi2_quantile(0.95, 2)), 3)
    5.991
    """
    return np.asarray(2 * gammaincinv(np.asarray(nu) / 2, level))


@lru_cache(maxsize=256)
def cross_quantile(level: float, dof: int) -> float:
    """Z_ν(p), the quantile of the square root of the product of two χ²_ν variables.

    References
    ----------
    Torrence & Compo (1998), eq. 30 and 31: Z_1(95 %) = 2.182, Z_2(95 %) = 3.999.

    Examples
    --------
    >>> round(cross_quantile(0.95, 2), 3)
    3.999
    """
    # Imported on first use: the result is cached, and most programs never need it.
    from scipy.integrate import quad
    from scipy.optimize import brentq

    def density(z: float) -> float:
        return float(2 ** (2 - dof) / gamma_function(dof / 2) ** 2 * z ** (dof - 1) * kv(0, z))

    def excess(z: float) -> float:
        return float(quad(density, z, np.inf)[0]) - (1 - level)

    return float(brentq(excess, 1e-9, 200.0))


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
    """Return √(P1 P2) Z_ν(p)/ν (TC98 eq. 31), one row of thresholds per pair; `scales` in samples.

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
