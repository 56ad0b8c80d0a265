"""Where samples belong, from what their device says of each: lost ones become gaps; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GAP_S", "ByCounter", "ByTime", "Placement", "Run", "Stamps", "placed_by_time"]

#: Longest step between two samples that is jitter: several packets of a wireless device.
GAP_S = 0.25

#: Samples of a device that confirm a jump of its stamps, in seconds.
CONFIRM_S = 0.5
#: Stretches between jumps of a recording's stamps that are told apart; more are no clock.
MAX_STRETCHES = 5000

#: No clock is later: three thousand years after 1970.
LATEST_S = 1e11
#: A hundred years: further away is no time stamp of the same recording.
LONGEST_S = 3.2e9

Real = npt.NDArray[np.floating[Any]]
Seconds = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Samples `start` to below `stop` of those given are consecutive, from `first_sample` on."""

    start: int
    stop: int
    first_sample: int

    @property
    def next_sample(self) -> int:
        """Position after the last sample."""
        return self.first_sample + self.stop - self.start


class ByTime:
    """Positions from time stamps.

    A step of more than `gap_s` between two samples means that as many were lost as fit into it.
    Shorter ones are jitter: most devices stamp their samples by the packet. So a shorter loss is
    not seen, and the size of a gap is as exact as the stamps.

    Parameters
    ----------
    fs_hz
        Samples per second.
    gap_s
        Longest step that is jitter; at least one and a half samples.
    """

    def __init__(self, fs_hz: float, gap_s: float) -> None:
        self._fs_hz = fs_hz
        self._gap_s = _longest_jitter_s(gap_s, fs_hz)
        self._last_s: float | None = None
        self._next = 0

    def place(self, times_s: Real) -> list[Run]:
        """Return where the next samples belong, which were taken at these times (time,)."""
        steps = np.diff(times_s, prepend=times_s[:1] if self._last_s is None else self._last_s)
        lost = np.where(steps > self._gap_s, np.rint(steps * self._fs_hz) - 1, 0).astype(np.int64)
        runs, self._next = _runs(lost, self._next)
        if len(times_s):
            self._last_s = float(times_s[-1])
        return runs


class ByCounter:
    """Positions from a counter that goes up by one with each sample and starts again at `modulus`.

    How often it went round while nothing came is told from the time.
    """

    def __init__(self, fs_hz: float, modulus: int) -> None:
        self._fs_hz = fs_hz
        self._modulus = modulus
        self._last: tuple[float, float] | None = None
        self._next = 0

    def place(self, counts: Real, times_s: Real) -> list[Run]:
        """Return where the next samples belong, by their counts and times, both (time,)."""
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
    """The time stamps of a device as it goes, without those that jump and come back.

    Samples behind a jump are held until `CONFIRM_S` of them follow each other, which is a loss or a
    clock that was set; or until the stamps are back where they would be without it, so that they
    were wrong, and are replaced by what the others say.

    Parameters
    ----------
    fs_hz
        Samples per second.
    gap_s
        Longest step that is jitter; at least one and a half samples.
    """

    def __init__(self, fs_hz: float, gap_s: float) -> None:
        self._fs_hz = fs_hz
        self._gap_s = _longest_jitter_s(gap_s, fs_hz)
        self._enough = max(math.ceil(CONFIRM_S * fs_hz), 3)
        self._last_s: float | None = None
        self._newest_s = 0.0
        self._held: Seconds = np.zeros(0)

    def add(self, times_s: Real) -> Seconds:
        """Return the stamps of all samples that are no longer held, of the oldest ones on.

        Samples come and go in order: of those that were given and not returned before, these are
        the first.
        """
        done: list[Seconds] = []
        times = self._numbers(np.asarray(times_s, dtype=np.float64))
        jumps = np.flatnonzero(np.abs(np.diff(times)) > self._gap_s) + 1
        for stretch in np.split(times, jumps):
            if len(stretch):
                done += self._take(stretch)
        return np.concatenate([np.zeros(0), *done])

    def _numbers(self, times: Seconds) -> Seconds:
        """Return the stamps with the one expected for each that is not a number."""
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
        """Return whether a stamp is where the one after so many more samples is expected."""
        if self._last_s is None:
            return True
        return abs(time_s - self._last_s - after / self._fs_hz) <= self._gap_s

    def _expected(self, n: int) -> Seconds:
        return (self._last_s or 0.0) + np.arange(1, n + 1) / self._fs_hz


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the samples of a recording belong, and when they were taken."""

    runs: list[Run]
    #: (time,) the stamps; of samples that are placed by their count, what the others say.
    times_s: npt.NDArray[np.float64]
    #: How many samples are placed by their count.
    wrong: int


def placed_by_time(times_s: Real, fs_hz: float, gap_s: float) -> Placement:
    """Return where the samples of a whole recording belong, from their time stamps.

    A step of more than `gap_s` is a gap, as with `ByTime`, but only if the stamps do not come back:
    of the stretches between jumps, those are believed that never go back and have the most samples.
    Samples of the others, such as a few that are stamped a day late, follow those before them.

    Parameters
    ----------
    times_s
        Of each sample, (time,).
    fs_hz
        Samples per second, by which the size of a gap is told: best as measured.
    gap_s
        Longest step that is jitter; at least one and a half samples.
    """
    times, n = np.array(times_s, dtype=np.float64), len(times_s)
    gap_s = _longest_jitter_s(gap_s, fs_hz)
    count = np.arange(n)
    with np.errstate(invalid="ignore", over="ignore"):
        late = times - count / fs_hz
        jumps = np.flatnonzero(~(np.abs(np.diff(times)) <= gap_s)) + 1  # also of what is not finite
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
    """Return which stretches (stretch,) are the most samples that never go back.

    `begin` and `end` are how late their first and last stamps are.
    """
    n = len(size)
    if n > MAX_STRETCHES:
        return np.zeros(n, dtype=bool)
    possible = np.isfinite(begin) & np.isfinite(end)
    if n > 1:  # further from the middle than any recording is long
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
    """Cut samples where some were lost before; return the position after the last one as well."""
    n, runs = len(lost), list[Run]()
    if n == 0:
        return runs, first
    starts = [0, *np.flatnonzero(lost[1:]) + 1]
    for start, stop in zip(starts, [*starts[1:], n], strict=True):
        first += int(lost[start])
        runs.append(Run(start=int(start), stop=int(stop), first_sample=first))
        first += int(stop - start)
    return runs, first
