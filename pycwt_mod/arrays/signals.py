"""Signals of callers, made ready for the analysis: copied, paired, scaled, their gaps filled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays.checks import Bools, Floats, as_number, check_positive
from pycwt_mod.arrays.foreign import check_same_index, real_array, time_last, warn_of_uneven_index

#: What replaces the samples of a short gap; None is the mean of the series.
GapFill: TypeAlias = Literal["linear"] | None

#: Default of the part of a value's energy that may be missing; docs/benchmarks-gaps.md compares.
MASK_THRESHOLD = 0.05

#: Smaller thresholds are near the rounding of the computation, which is in single precision.
_LEAST_THRESHOLD = 1e-3

#: Least part of a signal's mean power that an octave has, per frequency, for single precision.
_WEAK = 2.0**-10


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
        raise ValueError(f"{name} contains only NaN; at least one valid sample is needed")
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


def check_signals(signals: Mapping[str, ArrayLike], axis: int | None = None) -> dict[str, Floats]:
    """Return signals, or batches of them, with time last and of equal shape and type."""
    names = list(signals)
    for name in names[1:]:
        check_same_index(signals[names[0]], signals[name], names[0], name)
    records = {name: as_signal(name, time_last(name, y, axis)) for name, y in signals.items()}
    shape = records[names[0]].shape
    for name, record in records.items():
        if record.shape != shape:
            raise ValueError(
                f"{names[0]} has shape {shape} and {name} {record.shape}; they must be equal"
            )
    kind = np.result_type(*records.values())
    return {name: record.astype(kind, copy=False) for name, record in records.items()}


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


def unit_scaled(values: Floats) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Scale signals by a power of two so that their largest magnitude lies in [0.5, 1).

    Scaling by a power of two rounds nothing, so what is computed from the result is as exact
    at 1e-300 or 1e300 as at 1.

    Parameters
    ----------
    values : ndarray, shape (..., time)
        NaN is missing and stays so.

    Returns
    -------
    scaled : ndarray, shape (..., time), float64
        ``values * 2.0**-exponent``.
    exponent : ndarray of int, shape (..., 1)
        0 for a signal of zeros.

    Examples
    --------
    >>> scaled, exponent = unit_scaled(np.array([3e200, -1e200]))
    >>> bool(abs(scaled).max() < 1), bool((np.ldexp(scaled, exponent) == [3e200, -1e200]).all())
    (True, True)
    """
    wide = values.astype(np.float64)
    largest = np.nanmax(np.abs(wide), axis=-1, keepdims=True)
    exponent = np.asarray(np.frexp(largest)[1])
    return np.asarray(np.ldexp(wide, -exponent)), exponent


def deviation(values: Floats) -> NDArray[np.float64]:
    """Return the standard deviation over the valid samples of each signal, shape (..., 1).

    It is right wherever it can be represented, though the variance may not be.
    """
    scaled, exponent = unit_scaled(values)
    return np.asarray(np.ldexp(np.nanstd(scaled, axis=-1, keepdims=True), exponent))


def has_weak_octave(values: Floats) -> bool:
    """Return whether a signal has next to no power in some octave, for single precision.

    A transform rounds by its largest values. Where an octave has less than 1/32 of the signal's
    mean amplitude, coherence in float32 would be off by 1e-3 or more.

    Parameters
    ----------
    values : ndarray, shape (..., time)
        NaN is missing.
    """
    n_bins = values.shape[-1] // 2
    mean = np.nanmean(values, axis=-1, keepdims=True, dtype=np.float64)
    centred = np.nan_to_num(values - mean) * np.hanning(values.shape[-1])
    power = np.abs(scipy.fft.rfft(centred, axis=-1)) ** 2
    edges = [n_bins >> k for k in range(n_bins.bit_length() - 2)][::-1]  # 2 bins and more
    if len(edges) < 2:
        return False
    octaves = np.add.reduceat(power[..., :n_bins], edges[:-1], axis=-1) / np.diff(edges)
    return bool((octaves < _WEAK * power[..., 1:n_bins].mean(axis=-1, keepdims=True)).any())


@dataclass(frozen=True, kw_only=True)
class GapPolicy:
    """How gaps are filled and masked.

    Attributes
    ----------
    fill : {None, "linear"}
        What gaps of up to `max_gap` are filled with; all others are filled with the mean.
    max_gap : float or None
        Longest gap that is filled, in the unit of `dt`: a gap of k samples lasts k `dt`. None
        sets no limit.
    mask_threshold : float or None
        Part of the energy of a value that may be missing where it is not masked. None masks the
        cone of influence of every missing sample.
    """

    fill: GapFill = None
    max_gap: float | None = None
    mask_threshold: float | None = MASK_THRESHOLD

    def __post_init__(self) -> None:
        if self.fill not in (None, "linear"):
            raise ValueError(f"gap_fill={self.fill!r} must be None or 'linear'")
        if self.max_gap is not None:
            check_positive("max_gap", self.max_gap)
            if self.fill is None:
                raise ValueError(f"max_gap={self.max_gap!r} needs gap_fill='linear'")
        threshold = self.mask_threshold
        if threshold is None:
            return
        if not _LEAST_THRESHOLD <= as_number("mask_threshold", threshold) < 1:
            raise ValueError(
                f"mask_threshold={threshold!r} must be from {_LEAST_THRESHOLD} to less than 1, or "
                "None for the cone of influence of every missing sample"
            )

    def filled(self, signal: Floats, dt: float) -> tuple[Floats, Bools]:
        """Return `signal`, shape (..., n), without gaps, and where they were."""
        missing = np.isnan(signal)
        if not missing.any():
            return signal, missing
        if self.fill == "linear":
            longest = math.inf if self.max_gap is None else self.max_gap / dt * (1 + 1e-9)
            signal = interpolated(signal, missing, longest)
        return _fill_missing(signal), missing


def interpolated(signal: Floats, missing: Bools, longest: float) -> Floats:
    """Return `signal` with straight lines across gaps of up to `longest` samples.

    Longer gaps and those at the ends of the record, which have one neighbour only, stay NaN.
    """
    n = signal.shape[-1]
    index = np.arange(n)
    before = np.maximum.accumulate(np.where(missing, -1, index), axis=-1)
    after = np.minimum.accumulate(np.where(missing, n, index)[..., ::-1], axis=-1)[..., ::-1]
    inside = missing & (before >= 0) & (after < n) & (after - before - 1 <= longest)
    left = np.take_along_axis(signal, np.maximum(before, 0), -1).astype(np.float64)
    right = np.take_along_axis(signal, np.minimum(after, n - 1), -1).astype(np.float64)
    part = (index - before) / np.maximum(after - before, 1)
    return np.where(inside, left + part * (right - left), signal).astype(signal.dtype)


def _fill_missing(signal: Floats) -> Floats:
    """Return `signal` with NaN replaced by the mean of the valid samples."""
    missing = np.isnan(signal)
    if not missing.any():
        return signal
    mean = np.nanmean(signal.astype(np.float64), axis=-1, keepdims=True)
    return np.where(missing, mean, signal).astype(signal.dtype)
