"""The device's clock against its count of samples: a line through the time stamps.

A stamp says when the first sample of a chunk was taken. Its *residual* is what it says beyond the
nominal rate, in seconds, counted from the first stamp::

    x = (sample - sample0) / fs_hz            y = (t - t0) - x

The line ``y = ybar + drift (x - xbar)`` is fitted by least squares whose weights fade with
``MEMORY_S``, so that it follows a clock that warms up. The sums are central moments, updated stamp
by stamp (West, Comm. ACM 22 (1979) 532), which no length of a recording makes inexact. The slope is
shrunk towards zero as a clock of `PRIOR_DRIFT` would be: two stamps a moment apart say nothing of
drift. A stamp far from the line is an outlier and does not count; several in a row mean that the
clock was set, and the line begins anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from cwt_schemas.limits import MAX_INT64
from cwt_schemas.stream import ClockState, ClockStatus

__all__ = ["Clock"]

NANOSECONDS = 1_000_000_000
#: Weights of stamps fade to 1/e over this time.
MEMORY_S = 60.0
#: Drift of an ordinary crystal; the slope believes a few stamps no more than this.
PRIOR_DRIFT = 1e-4
#: A stamp is an outlier this far from the line, in standard deviations, and at least in seconds.
OUTLIER_SIGMAS = 8.0
OUTLIER_S = 0.1
#: Before so many stamps there are no outliers, for nobody knows how the device stamps.
LEARNED_STAMPS = 8
#: So many outliers in a row mean that the clock was set.
STEP_STAMPS = 3
#: A stamp that comes later than a chunk lasts, but for a quarter, means that a chunk is missing.
LOST_PART = 0.75
#: Before so many stamps none is missed on their account.
LOST_STAMPS = 3


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The fit after the stamps so far; `state` is what a checkpoint keeps."""

    fs_hz: float
    state: ClockState

    @classmethod
    def started(cls, fs_hz: float, sample: int, t_ns: int, *, steps: int = 0) -> Clock:
        """Return the clock after its first stamp."""
        state = ClockState(
            sample=sample, t_ns=t_ns, newest_sample=sample, newest_ns=t_ns, stamps=1,
            weight=1.0, mean_x=0.0, mean_y=0.0, cxx=0.0, cxy=0.0, cyy=0.0, outliers=0, steps=steps,
        )  # fmt: skip
        return cls(fs_hz=fs_hz, state=state)

    @property
    def drift(self) -> float:
        """Seconds that the device's clock gains per second of samples at the nominal rate."""
        s = self.state
        noise = s.cyy / s.weight
        spread = s.cxx + noise / PRIOR_DRIFT**2
        return s.cxy / spread if spread > 0 else 0.0

    @property
    def jitter_s(self) -> float:
        """Standard deviation of the stamps about the line, seconds."""
        s, drift = self.state, self.drift
        return math.sqrt(max(s.cyy - 2 * drift * s.cxy + drift**2 * s.cxx, 0.0) / s.weight)

    def status(self) -> ClockStatus:
        """Return what is told of the clock."""
        return ClockStatus(
            drift_ppm=self.drift * 1e6,
            jitter_s=self.jitter_s,
            stamps=self.state.stamps,
            steps=self.state.steps,
        )

    def stamped(self, sample: int, t_ns: int) -> Clock:
        """Return the clock after one more stamp."""
        x, y = self._x(sample), self._y(sample, t_ns)
        late = y - self._line(x)
        limit = max(OUTLIER_S, OUTLIER_SIGMAS * self.jitter_s)
        newest = {"newest_sample": sample, "newest_ns": t_ns}
        if self.state.stamps >= LEARNED_STAMPS and abs(late) > limit:
            outliers = self.state.outliers + 1
            if outliers >= STEP_STAMPS:
                return Clock.started(self.fs_hz, sample, t_ns, steps=self.state.steps + 1)
            return self._with(outliers=outliers, **newest)
        s = self.state
        fade = math.exp(-max(x - self._x(s.newest_sample), 0.0) / MEMORY_S)
        weight = fade * s.weight + 1.0
        dx, dy = x - s.mean_x, y - s.mean_y
        share = fade * s.weight / weight
        return self._with(
            stamps=s.stamps + 1, weight=weight, outliers=0,
            mean_x=s.mean_x + dx / weight, mean_y=s.mean_y + dy / weight,
            cxx=fade * s.cxx + share * dx * dx, cxy=fade * s.cxy + share * dx * dy,
            cyy=fade * s.cyy + share * dy * dy, **newest,
        )  # fmt: skip

    def time_of(self, sample: int) -> int | None:
        """Return when `sample` was taken by the fitted line, ns UTC; None where no time is."""
        x = self._x(sample)
        return self._at(self.state.sample, self.state.t_ns, sample, self._line(x))

    def raw_time_of(self, sample: int) -> int | None:
        """Return the same by the newest stamp and the nominal rate alone."""
        return self._at(self.state.newest_sample, self.state.newest_ns, sample, 0.0)

    def lost_before(self, sample: int, t_ns: int, n: int) -> int:
        """Return how many samples are missing before a chunk without index.

        Parameters
        ----------
        sample
            The index that its first sample has if nothing is missing.
        t_ns
            Its stamp.
        n
            Its length.
        """
        if self.state.stamps < LOST_STAMPS:
            return 0
        late = self._y(sample, t_ns) - self._line(self._x(sample))
        tolerance = max(LOST_PART * n / self.fs_hz, OUTLIER_SIGMAS * self.jitter_s)
        return round(late * self.fs_hz) if late > tolerance else 0

    def _x(self, sample: int) -> float:
        return (sample - self.state.sample) / self.fs_hz

    def _y(self, sample: int, t_ns: int) -> float:
        nominal = round((sample - self.state.sample) * NANOSECONDS / self.fs_hz)
        return (t_ns - self.state.t_ns - nominal) / NANOSECONDS

    def _line(self, x: float) -> float:
        return self.state.mean_y + self.drift * (x - self.state.mean_x)

    def _at(self, origin: int, t_ns: int, sample: int, late_s: float) -> int | None:
        nominal = round((sample - origin) * NANOSECONDS / self.fs_hz)
        then = t_ns + nominal + round(late_s * NANOSECONDS)
        return then if 0 <= then <= MAX_INT64 else None

    def _with(self, **changes: float) -> Clock:
        return replace(self, state=self.state.model_copy(update=changes))
