"""Numbers that callers pass as arguments, as Python floats and ints."""

from __future__ import annotations

import math
import numbers
from datetime import timedelta
from decimal import Decimal

import numpy as np


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
    if isinstance(value, int | float):  # before the slower questions about abstract types
        return _as_float(name, value)
    if isinstance(value, timedelta | np.timedelta64):
        raise TypeError(
            f"cannot use {name}={value!r}: results need a unit of time; give {name} as a number "
            "in the unit you choose, such as dt.total_seconds() for seconds"
        )
    only = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    if not isinstance(only, numbers.Real | Decimal):
        found = "" if value is None else f", not {type(value).__name__}"
        raise TypeError(f"cannot use {name}={value!r}: give {kind}{found}")
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
