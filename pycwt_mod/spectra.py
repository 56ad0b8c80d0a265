"""Averages of wavelet power: over time, over scales, and rectified."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import (
    Bools,
    Floats,
    check_positive,
    coefficient_array,
    octave_weights,
    positive_axis,
    real_array,
    renamed,
    within_band,
)
from pycwt_mod.wavelets import WaveletLike, as_wavelet

__all__ = ["global_spectrum", "inside_cone", "scale_average", "wavelet_power"]


def wavelet_power(coefs: ArrayLike, scales: ArrayLike, *, rectified: bool = False) -> Floats:
    """Wavelet power |W|², or |W|²/s.

    Power as Torrence & Compo define it favours large scales: sinusoids of equal amplitude have
    peaks in proportion to their period. Divided by the scale (in units of the smallest one, so
    that the unit stays) the peaks are equal.

    Parameters
    ----------
    coefs : array_like, shape (..., scales, time), complex
        From `cwt`.
    scales : array_like, shape (scales,)
        From `cwt`.
    rectified : bool
        Divide by s/s_min; s_min is the smallest of `scales`, whatever their order.

    Returns
    -------
    ndarray, shape (..., scales, time)
        In the signal's unit squared.

    Raises
    ------
    ValueError
        If the shapes don't match.

    References
    ----------
    Liu et al. (2007), J. Atmos. Oceanic Technol. 24, 2093, doi:10.1175/2007JTECHO511.1

    Examples
    --------
    >>> from pycwt_mod import cwt
    >>> t = np.arange(2048)
    >>> x = np.sin(2 * np.pi * t / 16) + np.sin(2 * np.pi * t / 128)
    >>> result = cwt(x, 1.0, 1 / 12, 4, 84)
    >>> middle = wavelet_power(result.coefs, result.scales, rectified=True)[:, 1024]
    >>> fast, slow = middle[:48].max(), middle[48:].max()
    >>> bool(abs(slow / fast - 1) < 0.02)
    True
    """
    w, s = _pair(coefs, scales)
    power: Floats = w.real**2 + w.imag**2
    if rectified:
        power /= (s / s.min())[:, None].astype(power.dtype)
    return power


def inside_cone(freqs: ArrayLike, coi: ArrayLike) -> Bools:
    """Return where the ends of the record weigh in: where the period exceeds the `coi`.

    Parameters
    ----------
    freqs : array_like, shape (scales,)
        From `cwt`.
    coi : array_like, shape (time,)
        From `cwt`: the longest period free of edge effects.

    Returns
    -------
    ndarray of bool, shape (scales, time)
    """
    periods = 1 / positive_axis("freqs", freqs)
    return np.asarray(periods[:, None] > real_array("coi", coi).astype(np.float64))


def global_spectrum(
    coefs: ArrayLike, mask: ArrayLike | None = None
) -> tuple[Floats, NDArray[np.int64]]:
    """Global wavelet spectrum, the mean of |W|² over time.

    Parameters
    ----------
    coefs : array_like, shape (..., scales, time), complex
        From `cwt`.
    mask : array_like of bool, shape (..., scales, time), optional
        True where a value is left out: the `mask` of a result, `inside_cone`, or both.
        Torrence & Compo leave nothing out.

    Returns
    -------
    spectrum : ndarray, shape (..., scales)
        In the signal's unit squared; NaN where everything is left out.
    points : ndarray of int, shape (..., scales)
        Number of values in each mean, the `dof` of ``significance(..., sigma_test=1)``.

    Raises
    ------
    ValueError
        If the shapes don't match.

    References
    ----------
    Torrence & Compo (1998), eq. 22, and eq. 23 for its significance.

    Examples
    --------
    >>> from pycwt_mod import cwt, rednoise, significance
    >>> x = rednoise(1000, 0.5, rng=1)
    >>> result = cwt(x, 1.0, 1 / 4)
    >>> mask = inside_cone(result.freqs, result.coi)
    >>> spectrum, points = global_spectrum(result.coefs, mask)
    >>> some = points > 0
    >>> level = significance(x, 1.0, result.scales[some], 1, alpha=0.5, dof=points[some])
    >>> bool((spectrum[some] < 1.5 * level.signif).all())
    True
    """
    w = coefficient_array("coefs", coefs)
    left_out = np.zeros(w.shape, np.bool_) if mask is None else np.asarray(mask, np.bool_)
    if w.ndim < 2 or left_out.shape != w.shape:
        raise ValueError(f"mask has shape {left_out.shape}, but coefs has {w.shape}")
    if isinstance(coefs, np.ma.MaskedArray):
        left_out = left_out | np.ma.getmaskarray(coefs)
    power = np.where(left_out, 0, w.real**2 + w.imag**2)
    points = np.count_nonzero(~left_out, axis=-1)
    total = power.sum(axis=-1, dtype=np.float64)
    spectrum = np.full(total.shape, np.nan)
    np.divide(total, points, out=spectrum, where=points > 0)
    return spectrum, np.asarray(points)


@renamed(between="scale_range")
def scale_average(
    coefs: ArrayLike,
    scales: ArrayLike,
    dt: float,
    dj: float | None,
    scale_range: tuple[float, float],
    wavelet: WaveletLike = "morlet",
    mask: ArrayLike | None = None,
) -> Floats:
    """Variance within a band of scales over time, (δt/C_δ) Σ_j δj |W(s_j, n)|²/s_j.

    Parameters
    ----------
    coefs : array_like, shape (..., scales, time), complex
        From `cwt`.
    scales : array_like, shape (scales,)
        From `cwt`, in any order.
    dt, wavelet
        As given to `cwt`.
    dj : float or None
        Spacing of the scales in octaves; None takes that of `scales`, as in `icwt`.
    scale_range : (float, float)
        Smallest and largest scale of the band, both included: the `dof` of
        ``significance(..., sigma_test=2)``, which gives the threshold.
    mask : array_like of bool, shape (..., scales, time), optional
        True where a value isn't valid: the `mask` of a result, `inside_cone`, or both.

    Returns
    -------
    ndarray, shape (..., time)
        In the signal's unit squared; NaN where any scale of the band is masked.

    Raises
    ------
    ValueError
        If the shapes don't match, no scale lies in the band, or `dj` is not the spacing of
        `scales`.

    References
    ----------
    Torrence & Compo (1998), eq. 24, and eq. 25-28 for its significance.

    Examples
    --------
    >>> from pycwt_mod import cwt
    >>> x = np.sin(2 * np.pi * np.arange(2048) / 32)
    >>> result = cwt(x, 1.0, 1 / 12)
    >>> variance = scale_average(result.coefs, result.scales, 1.0, 1 / 12, (8, 128))
    >>> bool(abs(variance[1024] - x.var()) < 0.01)
    True
    """
    mother = as_wavelet(wavelet)
    w, s = _pair(coefs, scales)
    dt = check_positive("dt", dt)
    octaves = octave_weights("scales", s, dj)
    chosen = within_band("scale_range", scale_range, s)
    kept = w[..., chosen, :]
    weights = octaves[chosen] * dt / mother.cdelta / s[chosen]
    average = np.asarray(np.einsum("j,...jn->...n", weights, kept.real**2 + kept.imag**2))
    if mask is None:
        return average
    invalid = np.asarray(mask, np.bool_)
    if invalid.shape != w.shape:
        raise ValueError(f"mask has shape {invalid.shape}, but coefs has {w.shape}")
    return np.where(invalid[..., chosen, :].any(axis=-2), np.nan, average)


def _pair(coefs: ArrayLike, scales: ArrayLike) -> tuple[NDArray[np.complexfloating], Floats]:
    w, s = coefficient_array("coefs", coefs), positive_axis("scales", scales)
    if w.ndim < 2 or w.shape[-2] != s.size:
        raise ValueError(f"coefs has shape {w.shape}, but must be (..., {s.size}, time) as scales")
    return w, s
