"""What a program has in its hands as what a query or a chunk takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.foreign_arrays import real_array, time_first
from schemas.errors import Unprocessable
from schemas.query import Precision

__all__ = ["Samples", "as_samples", "as_signal", "precision_of"]

Samples = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]


def as_signal(name: str, values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return float32 or float64 (time,), NaN where a value is masked or None.

    Raises
    ------
    Unprocessable
        `name` is not numbers in one dimension.
    """
    try:
        found = real_array(name, values)
    except ValueError as error:
        raise Unprocessable.of({name: str(error).removeprefix(f"{name} ")}) from error
    if found.ndim != 1:
        raise Unprocessable.of({name: f"{found.ndim} axes, one is expected"})
    return found


def as_samples(values: ArrayLike) -> Samples:
    """Return samples (time,) or (time, channel), NaN where a value is masked or None.

    The rows of a data frame are the samples; so is the dimension named "time" of an
    xarray.DataArray. Integers stay integers unless one is missing.

    Raises
    ------
    ValueError
        There are other axes, or values that are not real numbers.
    """
    found: NDArray[Any] = time_first("samples", values)
    if found.ndim not in (1, 2):
        raise ValueError(
            f"samples of shape {found.shape}: (time,) or (time, channel) is expected, "
            "for one sample of several channels (1, channel)"
        )
    return found


def precision_of(*signals: NDArray[np.floating[Any]]) -> Precision:
    """Return the precision that all signals have, the higher one if they differ."""
    return "float32" if all(each.dtype == np.float32 for each in signals) else "float64"
