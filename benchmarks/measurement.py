"""Measured times of a task, in this project and in its peers."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Measurement of one implementation of a task.

    Attributes
    ----------
    who : str
        Name and version.
    seconds : tuple of float
        Wall time of every counted run; empty if there was none.
    scaled : float
        Factor applied to `seconds` if less work was done than is reported.
    peak_bytes : int or None
        Peak resident memory of a separate process, including interpreter and imports.
    note : str
        Threads, precision and other differences, or the reason why it was not measured.
    """

    who: str
    seconds: tuple[float, ...] = ()
    scaled: float = 1.0
    peak_bytes: int | None = None
    note: str = ""

    @property
    def median_s(self) -> float | None:
        """Median wall time, or None if it was not measured."""
        return statistics.median(self.seconds) * self.scaled if self.seconds else None

    @property
    def spread_s(self) -> tuple[float, float] | None:
        """Shortest and longest wall time, or None with fewer than two runs."""
        if len(self.seconds) < 2:
            return None
        return min(self.seconds) * self.scaled, max(self.seconds) * self.scaled


@dataclass(frozen=True, kw_only=True)
class Work:
    """One task and its implementations in this run, ours first."""

    title: str
    measurements: tuple[Measurement, ...] = field(default_factory=tuple)

    def ratio(self, other: Measurement) -> float | None:
        """Return the time of `other` divided by ours."""
        ours, theirs = self.measurements[0].median_s, other.median_s
        return theirs / ours if ours and theirs else None
