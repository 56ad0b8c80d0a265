"""Arguments that are numbers or choices, checked; the array types, and warnings to callers."""

from __future__ import annotations

import math
import numbers
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import wraps
from types import FrameType
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Complexes: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Bools: TypeAlias = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)
_P = ParamSpec("_P")
_R = TypeVar("_R")

#: Largest result computed without being asked for: half the memory of a small computer.
MEMORY_LIMIT_BYTES = 4 * 2**30

#: ``"standard"`` agrees with the papers, ``"pycwt"`` with the package of that name.
Convention: TypeAlias = Literal["standard", "pycwt"]
CONVENTIONS: tuple[Convention, ...] = ("standard", "pycwt")

#: Whose frames are not the caller's program.
_PACKAGES = ("pycwt_mod", "pycwt_client")


class NyquistWarning(UserWarning):
    """Rows of a transform lie above the Nyquist frequency of the signal."""


class SamplingWarning(UserWarning):
    """The index of a signal says that its samples are out of order or not evenly spaced."""


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


def check_lag1(name: str, value: object) -> float:
    """Return `value` as float; raise ValueError naming it unless -1 < value < 1."""
    number = as_number(name, value)
    if not -1 < number < 1:
        raise ValueError(f"{name}={value!r} must lie between -1 and 1, both excluded")
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


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Forbid writing to `array`, which a cache holds, and return it."""
    array.flags.writeable = False
    return array


def complex_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the complex type as precise as the real `dtype`."""
    return np.result_type(dtype, np.complex64)


def check_convention(convention: str) -> None:
    """Raise ValueError unless `convention` is one of `CONVENTIONS`."""
    if convention not in CONVENTIONS:
        raise ValueError(f"{convention=} must be one of {CONVENTIONS}")


def padded_length(n: int, convention: Convention) -> int:
    """Return the FFT length: TC98's, at least 1.4 n, or pycwt's next power of two."""
    if convention == "pycwt":
        return int(2 ** math.ceil(math.log2(n)))
    return int(2 ** (int(math.log2(n) + 0.4999) + 1))


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the innermost frame outside of the library and its client."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_ours(frame):
        level += 1
        frame = frame.f_back
    warnings.warn(message, category, stacklevel=level)


def renamed(**names: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function accept keywords by their old names too, with a DeprecationWarning.

    Type checkers see the new names only.

    Parameters
    ----------
    **names : str
        The new name of each old one.

    Raises
    ------
    ValueError
        By the decorated function, if a caller gives both names of a keyword.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for old, new in names.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise ValueError(f"cannot use both {old}= and {new}=: give {new}= only")
                deprecated = f"{function.__name__}({old}=) is deprecated: use {new}="
                warn_caller(deprecated, DeprecationWarning)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in _PACKAGES
