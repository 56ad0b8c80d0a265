"""Signals of extreme magnitudes, and with octaves of extremely little power."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays.checks import Floats

#: Least part of a signal's mean power that an octave has, per frequency, for single precision.
_WEAK = 2.0**-10


def unit_scaled(values: Floats) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Scale signals by a power of two so that their largest magnitude lies in [0.5, 1).

    Scaling by a power of two rounds nothing, so what is computed from the result is as exact
    at 1e-300 or 1e300 as at 1.

    Parameters
    ----------
    values : ndarray, shape (..., time)
        NaN is missing and stays so.

    Returns
    -------
    scaled : ndarray, shape (..., time), float64
        ``values * 2.0**-exponent``.
    exponent : ndarray of int, shape (..., 1)
        0 for a signal of zeros.

    Examples
    --------
    >>> scaled, exponent = unit_scaled(np.array([3e200, -1e200]))
    >>> bool(abs(scaled).max() < 1), bool((np.ldexp(scaled, exponent) == [3e200, -1e200]).all())
    (True, True)
    """
    wide = values.astype(np.float64)
    largest = np.nanmax(np.abs(wide), axis=-1, keepdims=True)
    exponent = np.asarray(np.frexp(largest)[1])
    return np.asarray(np.ldexp(wide, -exponent)), exponent


def deviation(values: Floats) -> NDArray[np.float64]:
    """Return the standard deviation over the valid samples of each signal, shape (..., 1).

    It is right wherever it can be represented, though the variance may not be.
    """
    scaled, exponent = unit_scaled(values)
    return np.asarray(np.ldexp(np.nanstd(scaled, axis=-1, keepdims=True), exponent))


def has_weak_octave(values: Floats) -> bool:
    """Return whether a signal has next to no power in some octave, for single precision.

    A transform rounds by its largest values. Where an octave has less than 1/32 of the signal's
    mean amplitude, coherence in float32 would be off by 1e-3 or more.

    Parameters
    ----------
    values : ndarray, shape (..., time)
        NaN is missing.
    """
    n_bins = values.shape[-1] // 2
    mean = np.nanmean(values, axis=-1, keepdims=True, dtype=np.float64)
    centred = np.nan_to_num(values - mean) * np.hanning(values.shape[-1])
    power = np.abs(scipy.fft.rfft(centred, axis=-1)) ** 2
    edges = [n_bins >> k for k in range(n_bins.bit_length() - 2)][::-1]  # 2 bins and more
    if len(edges) < 2:
        return False
    octaves = np.add.reduceat(power[..., :n_bins], edges[:-1], axis=-1) / np.diff(edges)
    return bool((octaves < _WEAK * power[..., 1:n_bins].mean(axis=-1, keepdims=True)).any())
