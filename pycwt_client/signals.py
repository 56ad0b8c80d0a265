"""Convert array-likes and numbers of a program to the arguments of queries, chunks and the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cwt_schemas.errors import Unprocessable
from cwt_schemas.query import LevelChoice, Precision
from pycwt_mod import MonteCarlo
from pycwt_mod.arrays import (
    as_number,
    check_same_index,
    real_array,
    time_first,
    time_last,
    warn_of_uneven_index,
)

__all__ = [
    "Samples",
    "as_samples",
    "as_signal",
    "as_signals",
    "check_pair",
    "level_fields",
    "nanoseconds",
    "narrowed",
    "precision_of",
    "with_plain_numbers",
]

#: Numeric fields of requests and tasks.
NUMBERS = (
    "dt", "dj", "s0", "J", "n", "param", "al1", "al2", "significance_level", "mc_count", "seed",
    "deltaj0",
)  # fmt: skip

#: Maximum rounding of samples, in standard deviations of their column; results have the same
#: tolerance.
MAX_ROUNDING = 1e-5
#: Origin of times in nanoseconds.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

Samples = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]


def as_signal(name: str, values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return float32 or float64 (time,), NaN where a value is masked or None.

    Raises
    ------
    Unprocessable
        `name` is not a one-dimensional array of numbers.
    """
    warn_of_uneven_index(name, values)
    try:
        signal = real_array(name, values)
    except ValueError as error:
        raise Unprocessable.of({name: str(error).removeprefix(f"{name} ")}) from error
    if signal.ndim != 1:
        raise Unprocessable.of({name: f"must have one axis, not {signal.ndim}"})
    return signal


def as_signals(name: str, values: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return float32 or float64 (signal, time) from one signal or several; see `as_signal`.

    The columns of a data frame are the signals.
    """
    try:
        signals = time_last(name, values, None)
    except ValueError as error:
        raise Unprocessable.of({name: str(error).removeprefix(f"{name} ")}) from error
    if signals.ndim not in (1, 2):
        raise Unprocessable.of({name: f"must have one or two axes, not {signals.ndim}"})
    return np.atleast_2d(signals)


def check_pair(signal1: object, signal2: object) -> None:
    """Raise Unprocessable if both signals have a time index, and the indexes differ."""
    try:
        check_same_index(signal1, signal2)
    except ValueError as error:
        raise Unprocessable.of({"signal2": str(error)}) from error


def as_samples(values: ArrayLike) -> Samples:
    """Return samples (time,) or (time, channel), NaN for masked values and None.

    The rows of a data frame are the samples, as is the dimension "time" of an xarray.DataArray.
    Integers stay integers unless one is missing.

    Raises
    ------
    ValueError
        The shape is another one, or values are not real numbers.
    """
    array: NDArray[Any] = time_first("samples", values)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"samples of shape {array.shape}: (time,) or (time, channel) is expected, "
            "for one sample of several channels (1, channel)"
        )
    return array


def narrowed(table: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return samples (time, channel), in float32 if the rounding is negligible, else in float64.

    Samples with an offset that is large compared with them would lose bits, such as those of an
    amplifier with 24 bits and an electrode offset.
    """
    known = np.isfinite(table)
    count = np.maximum(known.sum(axis=0), 1)
    zeroed = np.where(known, table, 0.0)
    offset = zeroed.sum(axis=0) / count
    spread = np.sqrt(np.where(known, (table - offset) ** 2, 0.0).sum(axis=0) / count)
    rounded = np.finfo(np.float32).eps / 2 * np.abs(zeroed).max(axis=0)
    fine = (rounded <= MAX_ROUNDING * spread) | (np.ptp(zeroed, axis=0) == 0)
    return table.astype("<f4" if fine.all() else "<f8", copy=False)


def nanoseconds(time: datetime) -> int:
    """Return an instant as nanoseconds UTC.

    Raises
    ------
    ValueError
        `time` has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone: use datetime.now(UTC), or .astimezone()")
    return (time - BEGINNING) // timedelta(microseconds=1) * 1000


def precision_of(*signals: NDArray[np.floating[Any]]) -> Precision:
    """Return the common precision of the signals, the higher one if they differ."""
    return "float32" if all(each.dtype == np.float32 for each in signals) else "float64"


def level_fields(
    significance: MonteCarlo | Literal["table"] | None, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of a request that define how its threshold is computed.

    Parameters
    ----------
    significance : MonteCarlo, "table" or None
        None uses `fields`.
    fields : Mapping
        The individual options, under their names in the request.

    Raises
    ------
    Unprocessable
        Both are given, or `significance` has options that a request does not support.
    """
    if significance is None:
        return dict(fields)
    for name, value in fields.items():
        if value != LevelChoice.model_fields[name].default:
            raise _not_sent(f"cannot use {name}= with significance=: give one of the two")
    if not isinstance(significance, MonteCarlo):
        if significance != "table":
            raise _not_sent(f"cannot use {significance!r}: give MonteCarlo(...) or 'table'")
        return {"method": "table"}
    for name in ("precision", "n_jobs", "cache", "progress"):
        if getattr(significance, name) != getattr(MonteCarlo, name):
            raise _not_sent(f"cannot send {name}= to a service: leave it out, or use pycwt_mod.wct")
    return {
        "mc_count": significance.count,
        "seed": significance.seed,
        "backend": significance.backend,
    }


def _not_sent(reason: str) -> Unprocessable:
    return Unprocessable.of({"significance": reason})


def with_plain_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request with Python numbers for NumPy scalars and fractions.

    Raises
    ------
    Unprocessable
        A field is not a number, such as a timedelta.
    """
    return {
        name: _plain_number(name, value) if name in NUMBERS else value
        for name, value in fields.items()
    }


def _plain_number(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever a caller passes
    if isinstance(value, np.integer | np.ndarray) and value.size == 1:
        value = value.item()
    if value is None or isinstance(value, int | float | str):
        return value  # validated by the schema
    try:
        return as_number(name, value)
    except (TypeError, ValueError) as error:
        raise Unprocessable.of({name: str(error)}) from error
