"""What a program has in its hands as what a query or a chunk takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.errors import Unprocessable
from schemas.query import Precision

__all__ = ["Samples", "as_samples", "as_signal", "precision_of"]

Samples = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]


def as_signal(name: str, values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return float32 or float64 (time,); a masked value becomes NaN.

    Raises
    ------
    Unprocessable
        `name` is not numbers in one dimension.
    """
    if np.iscomplexobj(values):
        raise Unprocessable.of({name: "complex numbers, real ones are expected"})
    if getattr(values, "dtype", np.dtype(float)).kind in "mM":
        raise Unprocessable.of({name: "times, real numbers are expected"})
    try:
        found = np.ma.filled(np.ma.asarray(values).astype(_precision(values)), np.nan)
    except (TypeError, ValueError) as error:
        raise Unprocessable.of({name: "real numbers in one dimension are expected"}) from error
    if found.ndim != 1:
        raise Unprocessable.of({name: f"{found.ndim} axes, one is expected"})
    return found


def as_samples(values: ArrayLike) -> Samples:
    """Return samples (time,) or (time, channel); a masked value becomes NaN, its integers floats.

    Raises
    ------
    ValueError
        There are other axes.
    """
    if isinstance(values, np.ma.MaskedArray):
        real = values.astype(np.result_type(values.dtype, np.float32))
        found: NDArray[Any] = np.ma.filled(real, np.nan)
    else:
        found = np.asarray(values)
    if found.ndim not in (1, 2):
        raise ValueError(
            f"samples of shape {found.shape}: (time,) or (time, channel) is expected, "
            "for one sample of several channels (1, channel)"
        )
    return found


def precision_of(*signals: NDArray[np.floating[Any]]) -> Precision:
    """Return the precision that all signals have, the higher one if they differ."""
    return "float32" if all(each.dtype == np.float32 for each in signals) else "float64"


def _precision(values: ArrayLike) -> type[np.floating[Any]]:
    return np.float32 if getattr(values, "dtype", None) == np.float32 else np.float64
