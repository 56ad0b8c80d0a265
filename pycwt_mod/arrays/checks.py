"""The array types and the checks on numbers that come from outside."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays.foreign import real_array, warn_of_uneven_index
from pycwt_mod.arrays.scalars import as_number

#: ``"standard"`` agrees with the papers, ``"pycwt"`` with the package of that name.
Convention: TypeAlias = Literal["standard", "pycwt"]
Floats: TypeAlias = NDArray[np.floating[Any]]
Complexes: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Bools: TypeAlias = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

CONVENTIONS: tuple[Convention, ...] = ("standard", "pycwt")

#: Largest result computed without being asked for: half the memory of a small computer.
MEMORY_LIMIT_BYTES = 4 * 2**30


def check_convention(convention: str) -> None:
    """Raise ValueError unless `convention` is one of `CONVENTIONS`."""
    if convention not in CONVENTIONS:
        raise ValueError(f"{convention=} must be one of {CONVENTIONS}")


def check_positive(name: str, value: object) -> float:
    """Return `value` as float; raise ValueError naming it unless finite and > 0."""
    number = as_number(name, value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name}={value!r} must be a finite number > 0")
    return number


def check_level(name: str, value: object) -> float:
    """Return `value` as float; raise ValueError naming it unless 0 < value < 1."""
    number = as_number(name, value)
    if not 0 < number < 1:
        raise ValueError(f"{name}={value!r} must lie between 0 and 1, both excluded")
    return number


def check_count(name: str, value: object, *, least: int = 1) -> int:
    """Return `value` as int; raise ValueError naming it unless a whole number >= `least`."""
    if isinstance(value, numbers.Integral):
        count = int(value)  # exact, also beyond the whole numbers that floats hold
    else:
        number = as_number(name, value, "a whole number")
        count = int(number) if number.is_integer() else least - 1
    if count < least:
        raise ValueError(f"{name}={value!r} must be a whole number >= {least}")
    return count


def check_lag1(name: str, value: object) -> float:
    """Return `value` as float; raise ValueError naming it unless -1 < value < 1."""
    number = as_number(name, value)
    if not -1 < number < 1:
        raise ValueError(f"{name}={value!r} must lie between -1 and 1, both excluded")
    return number


def check_memory(
    what: str, n_bytes: int, limit: float = MEMORY_LIMIT_BYTES, *, instead: str = ""
) -> None:
    """Raise ValueError with the number of bytes if `what` would need more than `limit`.

    `instead` is another thing to do about it, such as "use multirate, ".
    """
    limit = as_number("max_bytes", limit)
    if n_bytes > limit:
        raise ValueError(
            f"{what} would need {n_bytes} bytes, more than the limit of {limit:.0f} bytes: "
            f"{instead}ask for fewer scales or samples, or raise max_bytes"
        )


def as_signal(name: str, values: ArrayLike | Sequence[float]) -> Floats:
    """Return a copy of `values` as a float32 or float64 array, NaN where a value is missing.

    Raises
    ------
    ValueError
        If `values` is not numeric and real, is infinite somewhere, has no valid sample,
        or has fewer than two samples.
    """
    signal: Floats = np.array(real_array(name, values), order="C")
    check_samples(name, signal)
    if np.isinf(signal).any():
        raise ValueError(f"{name} holds infinite values; missing samples are given as NaN")
    if np.isnan(signal).all(axis=-1).any():
        raise ValueError(f"{name} holds NaN alone; at least one valid sample is needed")
    return signal


def check_samples(name: str, signal: Floats) -> None:
    """Raise ValueError naming `signal`, shape (..., time), unless it has two samples or more."""
    if signal.ndim == 0 or signal.shape[-1] < 2:
        raise ValueError(f"{name} has shape {signal.shape}, but must hold at least 2 samples")


def as_series(name: str, values: ArrayLike | Sequence[float]) -> Floats:
    """Return `values` as `as_signal` does; raise ValueError unless one-dimensional."""
    signal = as_signal(name, values)
    warn_of_uneven_index(name, values)
    if signal.ndim != 1:
        raise ValueError(f"{name} has shape {signal.shape}, but must be one-dimensional")
    return signal


def fill_missing(signal: Floats) -> Floats:
    """Return `signal` with NaN replaced by the mean of the valid samples."""
    missing = np.isnan(signal)
    if not missing.any():
        return signal
    mean = np.nanmean(signal.astype(np.float64), axis=-1, keepdims=True)
    return np.where(missing, mean, signal).astype(signal.dtype)


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Forbid writing to `array`, which a cache holds, and return it."""
    array.flags.writeable = False
    return array


def complex_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the complex type as precise as the real `dtype`."""
    return np.result_type(dtype, np.complex64)
