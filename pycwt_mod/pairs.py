"""Two signals that are analysed together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import Floats, as_series, check_lag1
from pycwt_mod.rednoise import estimate_ar1


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
