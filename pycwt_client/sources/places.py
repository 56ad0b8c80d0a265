"""Where samples belong, from what their device says of each: lost ones become gaps; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GAP_S", "ByCounter", "ByTime", "Run"]

#: Longest step between two samples that is jitter: several packets of a wireless device.
GAP_S = 0.25

Real = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Samples `start` to below `stop` of those given are consecutive, from `first_sample` on."""

    start: int
    stop: int
    first_sample: int


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
        self._gap_s = max(gap_s, 1.5 / fs_hz)
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
