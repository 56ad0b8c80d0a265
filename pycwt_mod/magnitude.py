"""Moments of signals whose squares would overflow or underflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Floats


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
