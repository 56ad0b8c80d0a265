"""Times of one piece of work, in this project and in a peer."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One implementation of a piece of work.

    Attributes
    ----------
    who : str
        Name and version.
    seconds : tuple of float
        Wall time of every run that counted; empty if there was none.
    scaled : float
        What `seconds` were multiplied by, where less work was done than is reported.
    peak_bytes : int or None
        Largest resident memory of a process of its own, interpreter and imports included.
    note : str
        Threads, precision, and whatever else makes it differ; or why it wasn't measured.
    """

    who: str
    seconds: tuple[float, ...] = ()
    scaled: float = 1.0
    peak_bytes: int | None = None
    note: str = ""

    @property
    def median_s(self) -> float | None:
        """Median wall time, None if it wasn't measured."""
        return statistics.median(self.seconds) * self.scaled if self.seconds else None

    @property
    def spread_s(self) -> tuple[float, float] | None:
        """Shortest and longest wall time, None unless there are two."""
        if len(self.seconds) < 2:
            return None
        return min(self.seconds) * self.scaled, max(self.seconds) * self.scaled


@dataclass(frozen=True, kw_only=True)
class Work:
    """One piece of work and everybody who did it in this run, ours first."""

    title: str
    measurements: tuple[Measurement, ...] = field(default_factory=tuple)

    def ratio(self, other: Measurement) -> float | None:
        """Return how many times longer than ours `other` took."""
        ours, theirs = self.measurements[0].median_s, other.median_s
        return theirs / ours if ours and theirs else None
