"""Two signals that are analysed together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays.checks import Floats, as_signal
from pycwt_mod.arrays.foreign import check_same_index, time_last
from pycwt_mod.arrays.magnitude import unit_scaled


def check_pair(y1: ArrayLike, y2: ArrayLike, axis: int | None = None) -> tuple[Floats, Floats]:
    """Return both signals, or batches of them, with time last and of equal shape and type."""
    check_same_index(y1, y2)
    first = as_signal("y1", time_last("y1", y1, axis))
    second = as_signal("y2", time_last("y2", y2, axis))
    if first.shape[-1] != second.shape[-1]:
        counts = f"y1 has {first.shape[-1]} samples and y2 {second.shape[-1]}"
        raise ValueError(f"{counts}; they must be equal")
    if first.shape != second.shape:
        raise ValueError(f"y1 has shape {first.shape} and y2 {second.shape}; they must be equal")
    kind = np.result_type(first, second)
    return first.astype(kind), second.astype(kind)


def standardise(name: str, y: Floats) -> Floats:
    """Return (y - mean)/std over the valid samples of each signal, NaN kept.

    Raises
    ------
    ValueError
        If a signal is constant.
    """
    scaled, _ = unit_scaled(y)
    std = np.nanstd(scaled, axis=-1, keepdims=True)
    largest = np.nanmax(np.abs(scaled), axis=-1, keepdims=True)
    if (std <= 4 * np.finfo(y.dtype).eps * largest).any():
        raise ValueError(f"cannot normalize: {name} is constant; use a signal that varies")
    return np.asarray((scaled - np.nanmean(scaled, axis=-1, keepdims=True)) / std).astype(y.dtype)
