"""Arrays of other libraries as plain NumPy arrays, with NaN for missing values.

Masked arrays, pandas and polars objects, xarray, lists with None, and other byte orders. None of
these libraries is imported: objects are recognised by their methods.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays.checks import SamplingWarning, warn_caller

#: Name of the time dimension of an xarray.DataArray.
_TIME = "time"
#: Steps of an index may be larger than the usual one by this factor: months and years differ.
_UNEVEN = 1.5


def plain_array(name: str, values: ArrayLike | Sequence[float]) -> NDArray[Any]:
    """Return `values` as an array of real numbers in native byte order, NaN where missing.

    A value is missing if it is masked, None, or pandas.NA. Integers stay integers unless one of
    them is missing; then they become the narrowest float type that holds them.

    Parameters
    ----------
    name : str
        Name of the argument, for error messages.
    values : array_like
        Also a masked array, a pandas or polars object, or an xarray.DataArray.

    Returns
    -------
    ndarray
        Of the same shape. A view of `values` where no conversion is needed.

    Raises
    ------
    ValueError
        If a value is not a real number, or rows have different lengths.

    Examples
    --------
    >>> plain_array("x", [1, None, 3])
    array([ 1., nan,  3.])
    >>> plain_array("x", np.ma.masked_equal(np.array([1, 9], np.int16), 9))
    array([ 1., nan], dtype=float32)
    """
    array = _numeric(name, values)
    if not np.ma.is_masked(array):
        return np.asarray(np.ma.getdata(array))
    return _filled(array, np.result_type(array.dtype, np.float32))


def real_array(name: str, values: ArrayLike | Sequence[float]) -> NDArray[np.floating[Any]]:
    """Return the values of `plain_array` as float32 if they are float32, otherwise as float64."""
    array = _numeric(name, values)
    return _filled(array, np.dtype(np.float32 if array.dtype == np.float32 else np.float64))


def coefficient_array(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return `values` as an array of numbers that may be complex, NaN where they are masked.

    Raises
    ------
    ValueError
        If they are not numbers.
    """
    array = _unlabelled(name, values)
    if array.dtype.kind not in "fciub":
        raise ValueError(f"{name} has dtype {array.dtype}, but must hold numbers")
    if not np.ma.is_masked(array):
        return np.asarray(np.ma.getdata(array))
    return _filled(array, np.result_type(array.dtype, np.float32))


def time_last(
    name: str, values: ArrayLike | Sequence[float], axis: int | None
) -> NDArray[np.floating[Any]]:
    """Return `real_array` with the time axis last.

    Parameters
    ----------
    axis : int or None
        Time axis of `values`. None: the rows of a data frame, the dimension named "time" of an
        xarray.DataArray, and the last axis of everything else.

    Raises
    ------
    ValueError
        If the axis does not exist.
    """
    array = real_array(name, values)
    if axis is None or array.ndim < 2:
        warn_of_uneven_index(name, values)
    if array.ndim < 2:
        return array  # the only axis is time; `as_signal` checks the shape
    place = _time_axis(values) if axis is None else axis
    if not isinstance(place, numbers.Integral):
        raise TypeError(f"cannot use {axis=}: give the number of an axis of {name}")
    if not -array.ndim <= place < array.ndim:
        raise ValueError(f"{axis=} must be an axis of {name}, which has shape {array.shape}")
    return np.moveaxis(array, place, -1)


def time_first(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return `plain_array` with the time axis first, which is the default of an array here."""
    array = plain_array(name, values)
    warn_of_uneven_index(name, values)
    named = _TIME in getattr(values, "dims", ())
    return np.moveaxis(array, _time_axis(values), 0) if named and array.ndim > 1 else array


def check_same_index(
    values1: object, values2: object, name1: str = "y1", name2: str = "y2"
) -> None:
    """Raise ValueError if both have an index of time, and the indexes differ."""
    first, second = _index(values1), _index(values2)
    if first is not None and second is not None and not first.equals(second):
        raise ValueError(
            f"cannot pair {name1} with {name2}: their indexes differ; align them first, or pass "
            f"{name1}.to_numpy() and {name2}.to_numpy() to pair the samples by position"
        )


def warn_of_uneven_index(name: str, values: object) -> None:
    """Warn if the index of pandas or xarray data does not ascend in about equal steps.

    The steps of calendar months, 28 to 31 days, count as equal.
    """
    index = _index(values)
    # Dates and periods have their whole number of ticks; labels have none, and no steps.
    places = None if index is None else getattr(index, "asi8", index.to_numpy())
    if places is None or len(places) < 3 or places.dtype.kind not in "iuf":
        return
    steps = np.diff(places).astype(np.float64)
    if not (steps > 0).all():
        warn_caller(
            f"the index of {name} does not ascend: samples are taken as evenly spaced, in the "
            "order of the rows; sort them first",
            SamplingWarning,
        )
    elif steps.max() > _UNEVEN * np.median(steps):
        warn_caller(
            f"the index of {name} has steps up to {steps.max() / np.median(steps):.3g} times the "
            f"usual one: samples are taken as evenly spaced; reindex {name}, so that missing "
            "samples are NaN",
            SamplingWarning,
        )


def _index(values: object) -> Any:  # noqa: ANN401 - an index of pandas or xarray
    """Return the index along time; None for arrays, lists, and others without one."""
    indexes = getattr(values, "indexes", None)
    index = getattr(values, "index", None) if indexes is None else indexes.get(_TIME)
    return index if callable(getattr(index, "equals", None)) else None


def _time_axis(values: object) -> int:
    dims = list(getattr(values, "dims", ()))
    if _TIME in dims:
        return dims.index(_TIME)
    return 0 if hasattr(values, "columns") else -1


def _filled(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return `array` in the float type `dtype`, NaN where it is masked."""
    return np.asarray(np.ma.filled(array.astype(dtype, copy=False), np.nan))


def _numeric(name: str, values: ArrayLike | Sequence[float]) -> NDArray[Any]:
    """Return real numbers in native byte order; a masked array if `values` are masked."""
    array = _unlabelled(name, values)
    if array.dtype.kind == "O":
        array = _from_objects(name, array)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}, but must hold real numbers")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _unlabelled(name: str, values: Any) -> NDArray[Any]:  # noqa: ANN401
    """Return an array, masked if `values` are."""
    if isinstance(values, np.ndarray):
        return values
    to_numpy = getattr(values, "to_numpy", None)
    try:
        if callable(to_numpy):
            return np.asarray(to_numpy())
        if isinstance(values, list | tuple) and _any_masked(values):
            return np.asanyarray(np.ma.stack([np.ma.asarray(value) for value in values]))
        return np.asanyarray(values)  # masked, if __array__ gives a masked array
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot use {name} as an array of numbers: {error}") from error


def _any_masked(values: Iterable[object]) -> bool:
    return any(isinstance(value, np.ma.MaskedArray) for value in values)


def _from_objects(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """Return float64 of an array of Python objects."""
    mask = np.ma.getmaskarray(array)
    data = np.ma.getdata(array)
    numbers_ = [
        np.nan if hidden else _as_float(name, value)
        for value, hidden in zip(data.ravel(), mask.ravel(), strict=True)
    ]
    return np.array(numbers_, np.float64).reshape(data.shape)


def _as_float(name: str, value: object) -> float:
    # pandas.NA has no value that compares, so its type is compared by name.
    if value is None or value is np.ma.masked or type(value).__name__ == "NAType":
        return np.nan
    if isinstance(value, numbers.Real | Decimal | np.bool_):
        return float(value)
    raise ValueError(
        f"{name} holds {value!r} of type {type(value).__name__}, but must hold real numbers"
    )
