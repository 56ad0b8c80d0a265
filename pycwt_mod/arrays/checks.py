"""The array types and the checks on numbers that come from outside."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays.foreign import real_array, warn_of_uneven_index

Floats: TypeAlias = NDArray[np.floating[Any]]
Complexes: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Bools: TypeAlias = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

#: Largest result computed without being asked for: half the memory of a small computer.
MEMORY_LIMIT_BYTES = 4 * 2**30


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


def as_number(name: str, value: object, kind: str = "a real number") -> float:
    """Return a real number as a float.

    Parameters
    ----------
    name : str
        Name of the argument, for error messages.
    value : object
        Any real number: int, float, Decimal, Fraction, a NumPy scalar, or an array with one
        element.
    kind : str
        What the argument must be, for error messages.

    Raises
    ------
    TypeError
        If it is something else, such as None, a string or a timedelta.
    ValueError
        If it is too large for a float.

    Examples
    --------
    >>> as_number("dt", np.array([0.25]))
    0.25
    """
    if isinstance(value, int | float):  # before the slower checks of abstract types
        return _as_float(name, value)
    if isinstance(value, timedelta | np.timedelta64):
        raise TypeError(
            f"cannot use {name}={value!r}: results need a unit of time; give {name} as a number "
            "in the unit you choose, such as dt.total_seconds() for seconds"
        )
    only = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    if not isinstance(only, numbers.Real | Decimal):
        type_note = "" if value is None else f", not {type(value).__name__}"
        raise TypeError(f"cannot use {name}={value!r}: give {kind}{type_note}")
    return _as_float(name, only)


def _as_float(name: str, value: numbers.Real | Decimal | float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{name}={value!r} is too large for a float") from error


def last_row(value: object) -> int:
    """Return the number of scales less one, of pycwt's J, which need not be whole.

    The scales are s0 2^(j dj) for j in ``arange(0, J + 1)``, as in pycwt: J = 2.5 gives four.

    Raises
    ------
    ValueError
        If J is not finite, or less than 0.

    Examples
    --------
    >>> last_row(2.5), last_row(3)
    (3, 3)
    """
    number = as_number("J", value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"J={value!r} must be a number >= 0, or -1 for automatic")
    return math.ceil(number + 1) - 1
