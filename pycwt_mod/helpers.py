"""The names of ``pycwt.helpers``, for scripts that import them from there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fftpack as fft

from pycwt_mod.arrays import as_series
from pycwt_mod.rednoise import ar1, ar1_spectrum, rednoise

__all__ = [
    "ar1",
    "ar1_spectrum",
    "boxpdf",
    "fft",
    "fft_kwargs",
    "find",
    "get_cache_dir",
    "rect",
    "rednoise",
]


def find(condition: ArrayLike) -> NDArray[np.intp]:
    """Return the indices at which the flattened `condition` is true.

    Examples
    --------
    >>> find([[0, 3], [5, 0]])
    array([1, 2])
    """
    return np.flatnonzero(condition)


def boxpdf(
    x: ArrayLike | Sequence[float],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Replace values by their percentiles, so that their distribution is a box.

    Parameters
    ----------
    x : array_like, shape (n,)
        NaN means missing, and stays NaN.

    Returns
    -------
    boxed : ndarray, shape (n,)
        Percentile of each value, between 0 and 1; equal values share the middle of their ranks.
    values, percentiles : ndarray, shape (distinct values,)
        The distinct values, ascending, and their percentiles.

    Raises
    ------
    ValueError
        If `x` is not a series of real numbers.

    References
    ----------
    Grinsted et al. (2004), section 2, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> boxpdf([3.0, 1.0, 3.0, 7.0])[0]
    array([0.5  , 0.125, 0.5  , 0.875])
    """
    series = as_series("x", x).astype(np.float64)
    values, counts = np.unique(series[~np.isnan(series)], return_counts=True)
    percentiles = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.interp(series, values, percentiles), values, percentiles


def rect(x: ArrayLike | Sequence[int] | int, normalize: bool = False) -> NDArray[np.float64]:
    """Return ones with a half at the first and the last place.

    Parameters
    ----------
    x : int, sequence of int, or ndarray
        The length, the shape, or an array of that shape.
    normalize : bool
        Whether to divide by the sum.

    Examples
    --------
    >>> rect(4)
    array([0.5, 1. , 1. , 0.5])
    """
    shape: Any = x.shape if isinstance(x, np.ndarray) and x.ndim else x
    window = np.ones(shape)
    window[0] = window[-1] = 0.5
    return window / window.sum() if normalize else window


def fft_kwargs(signal: Sequence[Any] | NDArray[Any], **_: object) -> dict[str, Any]:
    """Return ``{"n": ...}`` with the power of two to which pycwt pads `signal`.

    Other keywords are dropped, as in pycwt without pyfftw. `cwt` pads by its `convention`.
    """
    return {"n": 2 ** math.ceil(math.log2(len(signal)))}


def get_cache_dir() -> str:
    """Return the folder in which pycwt caches its thresholds.

    This library neither creates nor uses it: see `cache` of `wct_significance`.
    """
    return f"{Path.home()}/.cache/pycwt/"
