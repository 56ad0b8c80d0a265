"""Positions of samples from counters or time stamps of their device; lost ones are gaps. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GAP_S", "ByCounter", "ByTime", "Placement", "Run", "Stamps", "placed_by_time"]

#: Longest interval of two samples that is jitter: several packets of a wireless device, seconds.
GAP_S = 0.25

#: Duration of samples that confirm a jump of the time stamps, seconds.
CONFIRM_S = 0.5
#: Maximum number of segments between jumps of time stamps; with more they are not a clock.
MAX_STRETCHES = 5000

#: Latest valid time: three thousand years after 1970.
LATEST_S = 1e11
#: Hundred years: time stamps further apart are not of the same recording.
LONGEST_S = 3.2e9

Real = npt.NDArray[np.floating[Any]]
Seconds = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Samples ``start <= i < stop`` of an array are consecutive, from position `first_sample`."""

    start: int
    stop: int
    first_sample: int

    @property
    def next_sample(self) -> int:
        """Position after the last sample."""
        return self.first_sample + self.stop - self.start


class ByTime:
    """Positions from time stamps.

    An interval of more than `gap_s` between two samples means that the samples that fit into it
    were lost. Shorter ones are jitter, since most devices stamp their samples by packet. Shorter
    losses are therefore not detected, and the size of a gap is as accurate as the time stamps.

    Parameters
    ----------
    fs_hz
        Sampling rate, Hz.
    gap_s
        Longest interval that is jitter, seconds; at least one and a half samples.
    """

    def __init__(self, fs_hz: float, gap_s: float) -> None:
        self._fs_hz = fs_hz
        self._gap_s = _longest_jitter_s(gap_s, fs_hz)
        self._last_s: float | None = None
        self._next = 0

    def place(self, times_s: Real) -> list[Run]:
        """Return the positions of the next samples, taken at these times (time,)."""
        steps = np.diff(times_s, prepend=times_s[:1] if self._last_s is None else self._last_s)
        lost = np.where(steps > self._gap_s, np.rint(steps * self._fs_hz) - 1, 0).astype(np.int64)
        runs, self._next = _runs(lost, self._next)
        if len(times_s):
            self._last_s = float(times_s[-1])
        return runs


class ByCounter:
    """Positions from a counter of samples that wraps at `modulus`.

    The time determines how often it wrapped while nothing arrived.
    """

    def __init__(self, fs_hz: float, modulus: int) -> None:
        self._fs_hz = fs_hz
        self._modulus = modulus
        self._last: tuple[float, float] | None = None
        self._next = 0

    def place(self, counts: Real, times_s: Real) -> list[Run]:
        """Return the positions of the next samples by their counts and times, both (time,)."""
        if len(counts) == 0:
            return []
        count, time_s = (counts[0] - 1, times_s[0]) if self._last is None else self._last
        lost = (np.diff(counts, prepend=count) - 1) % self._modulus
        by_time = np.diff(times_s, prepend=time_s) * self._fs_hz - 1
        rounds = np.maximum(np.rint((by_time - lost) / self._modulus), 0)
        whole = (lost + rounds * self._modulus).astype(np.int64)
        runs, self._next = _runs(whole, self._next)
        self._last = (float(counts[-1]), float(times_s[-1]))
        return runs


class Stamps:
    """Time stamps of a live device, without those that jump and return.

    Samples after a jump are held until `CONFIRM_S` of them are consecutive, which means a loss or a
    clock adjustment; or until the time stamps return to where they would be without the jump, which
    means that the held ones were wrong. Those are then interpolated.

    Parameters
    ----------
    fs_hz
        Sampling rate, Hz.
    gap_s
        Longest interval that is jitter, seconds; at least one and a half samples.
    """

    def __init__(self, fs_hz: float, gap_s: float) -> None:
        self._fs_hz = fs_hz
        self._gap_s = _longest_jitter_s(gap_s, fs_hz)
        self._enough = max(math.ceil(CONFIRM_S * fs_hz), 3)
        self._last_s: float | None = None
        self._newest_s = 0.0
        self._held: Seconds = np.zeros(0)

    def add(self, times_s: Real) -> Seconds:
        """Return the time stamps of the samples that are no longer held, the oldest first.

        The order of samples is preserved: the result belongs to the oldest samples that were added
        and not returned before.
        """
        done: list[Seconds] = []
        times = self._numbers(np.asarray(times_s, dtype=np.float64))
        jumps = np.flatnonzero(np.abs(np.diff(times)) > self._gap_s) + 1
        for stretch in np.split(times, jumps):
            if len(stretch):
                done += self._take(stretch)
        return np.concatenate([np.zeros(0), *done])

    def _numbers(self, times: Seconds) -> Seconds:
        """Replace time stamps that are not finite by the expected ones."""
        usable = np.isfinite(times) & (np.abs(times) < LATEST_S)
        count = np.arange(len(times))
        if not usable.all():
            before = np.maximum.accumulate(np.where(usable, count, -1))
            known = times[np.maximum(before, 0)]
            known = np.where(before < 0, self._newest_s, known)
            times = np.where(usable, times, known + (count - before) / self._fs_hz)
        if len(times):
            self._newest_s = float(times[-1])
        return times

    def _take(self, stretch: Seconds) -> list[Seconds]:
        done: list[Seconds] = []
        if len(self._held) and abs(stretch[0] - self._held[-1]) <= self._gap_s:
            stretch = np.concatenate((self._held, stretch))
        elif len(self._held):
            back = self._follows(stretch[0], len(self._held))
            done.append(self._expected(len(self._held)) if back else self._held)
            self._last_s = float(done[-1][-1])
        self._held = np.zeros(0)
        if self._follows(stretch[0], 0) or len(stretch) >= self._enough:
            self._last_s = float(stretch[-1])
            return [*done, stretch]
        self._held = stretch
        return done

    def _follows(self, time_s: float, after: int) -> bool:
        """Return whether a time stamp is near the expected one."""
        if self._last_s is None:
            return True
        return abs(time_s - self._last_s - after / self._fs_hz) <= self._gap_s

    def _expected(self, n: int) -> Seconds:
        return (self._last_s or 0.0) + np.arange(1, n + 1) / self._fs_hz


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Positions and times of the samples of a recording."""

    runs: list[Run]
    #: (time,) time stamps; interpolated for samples that are placed by their count.
    times_s: npt.NDArray[np.float64]
    #: Number of samples that are placed by their count.
    wrong: int


def placed_by_time(times_s: Real, fs_hz: float, gap_s: float) -> Placement:
    """Return the positions of the samples of a recording, from their time stamps.

    An interval of more than `gap_s` is a gap, as in `ByTime`, but only if the time stamps do not
    return. Of the segments between jumps, the increasing sequence with the most samples is used.
    Samples of the other segments, such as a few that are stamped a day late, follow the ones before
    them.

    Parameters
    ----------
    times_s
        Time of each sample, (time,).
    fs_hz
        Sampling rate, Hz, which determines the size of gaps; preferably as measured.
    gap_s
        Longest interval that is jitter, seconds; at least one and a half samples.
    """
    times, n = np.array(times_s, dtype=np.float64), len(times_s)
    gap_s = _longest_jitter_s(gap_s, fs_hz)
    count = np.arange(n)
    with np.errstate(invalid="ignore", over="ignore"):
        late = times - count / fs_hz
        jumps = np.flatnonzero(~(np.abs(np.diff(times)) <= gap_s)) + 1  # also if not finite
    starts = np.concatenate(([0], jumps))
    ends = np.concatenate((jumps, [n]))
    believed = _believed(late[starts], late[ends - 1], ends - starts, gap_s)
    lost, last = np.zeros(n, dtype=np.int64), None
    for place in np.flatnonzero(believed):
        first = starts[place]
        if last is not None:
            lost[first] = max(round((late[first] - late[last]) * fs_hz), 0)
        last = ends[place] - 1
    right = np.repeat(believed, ends - starts)
    if not right.any():
        times = count / fs_hz
    elif not right.all():
        anchor = np.maximum.accumulate(np.where(right, count, -1))
        anchor = np.where(anchor < 0, np.argmax(right), anchor)
        times = np.where(right, times, times[anchor] + (count - anchor) / fs_hz)
    runs, _ = _runs(lost, 0)
    return Placement(runs=runs, times_s=times, wrong=int(np.count_nonzero(~right)))


def _believed(begin: Real, end: Real, size: npt.NDArray[np.int64], gap_s: float) -> Bools:
    """Return the increasing sequence of segments (segment,) with the most samples.

    `begin` and `end` are the delays of their first and last time stamps.
    """
    n = len(size)
    if n > MAX_STRETCHES:
        return np.zeros(n, dtype=bool)
    possible = np.isfinite(begin) & np.isfinite(end)
    if n > 1:  # further from the median than any recording is long
        middle = np.median(begin[possible]) if possible.any() else 0.0
        possible &= np.abs(begin - middle) < LONGEST_S
    samples, before = np.where(possible, size, 0), np.full(n, -1)
    for place in range(1, n):
        fits = possible[:place] & (end[:place] - gap_s <= begin[place])
        if possible[place] and fits.any():
            best = int(np.argmax(np.where(fits, samples[:place], -1)))
            samples[place] += samples[best]
            before[place] = best
    believed = np.zeros(n, dtype=bool)
    place = int(np.argmax(samples)) if possible.any() else -1
    while place >= 0:
        believed[place] = True
        place = int(before[place])
    return believed


def _longest_jitter_s(gap_s: float, fs_hz: float) -> float:
    return max(gap_s, 1.5 / fs_hz)  # a regular step is never a gap


def _runs(lost: npt.NDArray[np.int64], first: int) -> tuple[list[Run], int]:
    """Split samples at losses; return also the position after the last one."""
    n, runs = len(lost), list[Run]()
    if n == 0:
        return runs, first
    starts = [0, *np.flatnonzero(lost[1:]) + 1]
    for start, stop in zip(starts, [*starts[1:], n], strict=True):
        first += int(lost[start])
        runs.append(Run(start=int(start), stop=int(stop), first_sample=first))
        first += int(stop - start)
    return runs, first
