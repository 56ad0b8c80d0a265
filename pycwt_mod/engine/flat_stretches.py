"""Intervals in which a signal is constant, where transforms contain only rounding errors.

A disconnected or saturated electrode delivers a constant. Wavelets have zero mean, so the transform
of a constant consists of rounding errors, and a coherence, which divides by its power, is a
meaningless number between 0 and 1.

A value is *flat* if the samples within its support, those x_k with |k - n| <= R(s), span no more
than rounding accounts for: max x - min x <= `FLAT_EPS` eps max|x|. R(s) is the distance beyond
which a sample weighs less than 1e-7 of the nearest ones; for a coherence it includes the smoothing,
at the largest scale of the boxcar. Missing samples and those beyond the ends are ignored. The rule
depends only on the samples within the support, so a window of a live stream and the whole recording
give the same result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Floats

#: Span of samples that are equal but for rounding, in units of eps max|x|: each of two samples may
#: be off by two units in the last place.
FLAT_EPS = 4
_TOLERANCES = {char: FLAT_EPS * float(np.finfo(char).eps) for char in "fd"}
#: Samples between two equal ones that are checked before the exact search.
_PROBES = 8
#: Numbers up to which a loop is faster than numpy, whose calls take a few microseconds in all.
_FEW = 48
#: Longest reach of a support: more samples than any record has.
_MOST_RADIUS = 2**60

#: First and last but one sample of stretches, shape (stretches, 2).
Stretches: TypeAlias = NDArray[np.int64]
#: Reach of the support on either side of a value in samples, one per row.
Radii: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FlatStretches:
    """The longest intervals of each signal of a batch within which all samples are equal.

    Two intervals may overlap if a signal drifts by less than its rounding.

    Attributes
    ----------
    shape : tuple of int
        Of the signals, the time axis last.
    each : tuple of ndarray, shape (stretches, 2)
        First sample and the one after the last, for each signal of the flattened batch.
    """

    shape: tuple[int, ...]
    each: tuple[Stretches, ...]

    def mask(self, radii: Radii, n: int, step: int = 1, first: int = 0) -> Bools:
        """Return which values depend only on flat samples.

        Parameters
        ----------
        radii : ndarray of int, shape (rows,)
            R of each row.
        n, step, first
            Values are at the samples ``first + step * i`` for i < n.

        Returns
        -------
        ndarray of bool, shape (..., rows, n)
        """
        mask = np.zeros((len(self.each), len(radii), n), np.bool_)
        for stretches, rows in zip(self.each, mask, strict=True):
            # Samples beyond an end of the signal are unknown, and do not count as varying.
            start, stop = stretches[:, :1], stretches[:, 1:]
            low = np.where(start == 0, 0, -((first - start - radii) // step))
            high = np.where(stop == self.shape[-1], n, (stop - 1 - radii - first) // step + 1)
            np.clip(low, 0, n, out=low)
            for k, j in zip(*np.nonzero(high > low), strict=True):
                rows[j, low[k, j] : high[k, j]] = True
        return mask.reshape(*self.shape[:-1], len(radii), n)


def flat_stretches(signals: NDArray[Any], least: int) -> FlatStretches | None:
    """Return the flat intervals of signals, shape (..., n); None if there are none.

    Parameters
    ----------
    signals : ndarray of float32 or float64, shape (..., n)
        As recorded, before a mean is removed; NaN is missing.
    least : int
        Length in samples of the shortest interval that matters.
    """
    tol = _TOLERANCES[signals.dtype.char]
    rows = signals.reshape(-1, signals.shape[-1])
    found = {k: _stretches(rows[k], least, tol) for k in _candidates(rows, least, 1.01 * tol)}
    if not any(map(len, found.values())):
        return None
    none = np.empty((0, 2), np.int64)
    return FlatStretches(signals.shape, tuple(found.get(k, none) for k in range(len(rows))))


def hop_of(least: int) -> int:
    """Return the largest distance at which any interval of `least` samples has two samples."""
    return max(1, (least - 1) // 2)


def may_be_flat(heads: Floats, energy: float) -> bool:
    """Return whether two neighbours of `heads`, shape (samples, channels), are equal.

    They are every `hop_of(least)`-th sample of a window; `flat_stretches` makes the exact check.
    Products of the samples must be within the range of their type.

    Parameters
    ----------
    heads : ndarray of float32 or float64
    energy : float
        Sum of squares of the window: no sample exceeds its root, which is the cheapest bound.
    """
    tol = 1.01 * _TOLERANCES[heads.dtype.char]
    if heads.size <= _FEW:
        for values in heads.T.tolist():
            last = values[0]
            for value in values[1:]:
                if abs(value - last) <= tol * abs(value):
                    return True
                last = value
        return False
    if len(heads) < 2:
        return False
    later = heads[1:]
    change = later - heads[:-1]
    np.abs(change, out=change)
    if np.minimum.reduce(change, axis=None) > tol * math.sqrt(energy):
        return False
    most = np.abs(later)
    most *= tol
    return bool(np.count_nonzero(change > most) < change.size)


def _candidates(rows: Floats, least: int, tol: float) -> list[int]:
    """Return the signals that may have a flat interval, with little cost for the others.

    Neighbours among every `hop`-th sample of a flat interval do not differ, nor do the samples
    between them. Missing samples are considered equal to any.
    """
    hop = hop_of(least)
    probe = slice(max(1, hop // _PROBES), hop, max(1, hop // _PROBES))
    heads = rows[:, ::hop]
    if heads.size > _FEW:
        return _candidates_of_many(rows, heads, hop, probe, tol)
    found = []
    # For a window of some ten samples, a call of numpy takes longer than all of this.
    for k, values in enumerate(heads.tolist()):
        last = values[0]
        for j, value in enumerate(values[1:]):
            most = tol * abs(value)
            if not abs(value - last) > most:
                between = rows[k, j * hop : (j + 1) * hop][probe].tolist()
                if not any(abs(value - each) > most for each in between):
                    found.append(k)
                    break
            last = value
    return found


def _candidates_of_many(
    rows: Floats, heads: Floats, hop: int, probe: slice, tol: float
) -> list[int]:
    """Return the result of `_candidates`."""
    with np.errstate(over="ignore", invalid="ignore"):
        later = heads[:, 1:]
        most = tol * np.abs(later)
        k, j = np.nonzero(~(np.abs(later - heads[:, :-1]) > most))
        for offset in range(hop)[probe]:
            differ = np.abs(later[k, j] - rows[k, j * hop + offset]) > most[k, j]
            k, j = k[~differ], j[~differ]
            if not k.size:
                break
    return [int(each) for each in np.unique(k)]


def _stretches(signal: Floats, least: int, tol: float) -> Stretches:
    """Return the longest flat intervals of at least `least` samples, half of them valid."""
    valid = ~np.isnan(signal)
    known = np.flatnonzero(valid)
    n = signal.size
    if 2 * known.size < least:
        return np.empty((0, 2), np.int64)
    x = signal[known]
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.abs(np.diff(x)) <= tol * np.abs(x[1:])
    turns = np.flatnonzero(np.diff(near, prepend=False, append=False)).reshape(-1, 2)
    # As indices of valid samples; a missing one belongs to the interval before and after it.
    after = np.append(known[1:], n)
    before = np.append(-1, known[:-1]) + 1
    before[0] = 0
    long = after[turns[:, 1]] - before[turns[:, 0]] >= least
    found = []
    for start, last in turns[long].tolist():
        for low, high in _within_tol(x[start : last + 1], tol, least // 2):
            first, stop = int(before[start + low]), int(after[start + high - 1])
            if stop - first >= least and 2 * (high - low) >= least:
                found.append((first, stop))
    return np.array(found, np.int64).reshape(-1, 2)


def _within_tol(x: Floats, tol: float, least: int) -> Iterator[tuple[int, int]]:
    """Yield the longest parts of `x` that span no more than `tol` of their magnitude.

    Parts of less than `least` samples may be omitted. Usually the only part is all of `x`.
    """
    if np.ptp(x) <= tol * abs(x[0]):
        yield 0, x.size
        return
    start = 0
    while start < x.size:
        largest = tol * abs(x[start])
        stop = start + _reach(x[start:], largest)
        if stop - start >= least:
            yield start, stop
        if stop == x.size:
            return
        # The next part holds x[stop]: it begins after the last sample that is too far from others.
        start = stop + 1 - _reach(x[start : stop + 1][::-1], largest)


def _reach(x: Floats, largest: float) -> int:
    """Return how many of the first samples span no more than `largest`."""
    low = high = x[0]
    size, start = 64, 1
    while start < x.size:
        part = x[start : start + size]
        span = np.maximum(np.maximum.accumulate(part), high)
        span -= np.minimum(np.minimum.accumulate(part), low)
        beyond = int(np.searchsorted(span, largest, side="right"))
        if beyond < part.size:
            return start + beyond
        low, high = min(low, part.min()), max(high, part.max())
        start, size = start + size, 2 * size
    return int(x.size)


def radii_of(radius: float, scales: Floats) -> Radii:
    """Return R of rows at `scales`, in samples, from the radius at scale 1."""
    return np.asarray(np.minimum(np.ceil(radius * scales), _MOST_RADIUS), np.int64)


def least_stretch(radii: Radii) -> int:
    """Return the length of the shortest interval in which a row has a flat value."""
    return 2 * int(radii.min()) + 1
