"""The device's clock against its count of samples: a robust line through the time stamps.

A stamp is the time at which the first sample of a chunk was taken. Its *deviation* is its
difference from the time at the nominal rate, in seconds since the first stamp::

    x = (sample - sample0) / fs_hz            y = (t - t0) - x

The line ``y = ybar + drift (x - xbar)`` is a weighted least-squares fit:

- Weights fade with ``MEMORY_S``, so the line follows a clock that warms up. The sums are central
  moments, updated stamp by stamp (West, Comm. ACM 22 (1979) 532), exact however long a recording.
- A stamp further from the line than ``HUBER`` scatters counts less in proportion (Huber, Ann. Math.
  Stat. 35 (1964) 73). The scatter is that of the stamps about the line, not about the nominal rate,
  so a wrong nominal rate is not mistaken for jitter.
- The slope is shrunk towards that of an ordinary crystal, by an amount that depends on the scatter
  and on the time covered: two stamps close to each other do not show a drift.
- The first ``LEARNED_STAMPS`` stamps are kept, and `measured_rate` finds the slope that they share,
  if there is one. A least-squares line through so few points would follow a single wrong one.

A stamp far from the line is an outlier and has no weight. Outliers that agree with each other for
long enough show that the clock was set, and the fit restarts there. The larger the step, the longer
it must last, up to ``STEP_HOLD_S``: a jump that returns sooner has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from cwt_schemas.checkpoint import ClockState
from cwt_schemas.limits import MAX_INT64
from cwt_schemas.sampling_rate import (
    MIN_STAMPS,
    RATE_SIGMAS,
    RATE_TOLERANCE,
    ROUNDING_S,
    measured_rate,
    wrong_rate,
)
from cwt_schemas.stream import ClockStatus

__all__ = ["STEP_HOLD_S", "STEP_STAMPS", "Clock", "ClockFinding", "hold_s"]

NANOSECONDS = 1_000_000_000
#: Weights of stamps fade to 1/e over this time.
MEMORY_S = 60.0
#: Number of stamps over which the scatter is averaged.
SCATTER_STAMPS = 64
#: Distance from the line, in scatters, up to which a stamp has full weight.
HUBER = 3.0
#: Drift of an ordinary crystal, to which the slope of few stamps is shrunk.
PRIOR_DRIFT = 1e-4
#: Distance from the line of an outlier, in scatters, and its minimum in seconds.
OUTLIER_SIGMAS = 8.0
OUTLIER_S = 0.1
#: Stamps needed to learn the device's jitter; no outliers are detected before.
LEARNED_STAMPS = 8
#: Consecutive outliers that show a clock step if they agree, and the longest time they must last.
STEP_STAMPS = 3
STEP_HOLD_S = 5.0
#: Before the scatter is learned, a stamp that is late by this part of the chunk's duration shows
#: that a chunk is missing.
LOST_PART = 0.75
#: Lateness of a stamp, in samples, that shows a loss once the jitter is known; less than one.
LOST_SAMPLES = 0.75


def hold_s(jump_s: float) -> float:
    """Return how long stamps must stay off the line by `jump_s` to count as a step, seconds."""
    return min(abs(jump_s) / 2, STEP_HOLD_S)


@dataclass(frozen=True, kw_only=True)
class ClockFinding:
    """A finding about the clock to report: the kind and text of its event."""

    kind: Literal["clock", "rate"]
    detail: str


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The fit to the stamps so far; `state` is stored in checkpoints."""

    fs_hz: float
    state: ClockState
    #: Finding of the newest stamp.
    finding: ClockFinding | None = None

    @classmethod
    def started(
        cls, fs_hz: float, sample: int, t_ns: int, *, steps: int = 0, usual_drift: float = 0.0
    ) -> Clock:
        """Return the clock after its first stamp; `usual_drift` is the prior for its drift."""
        state = ClockState(
            sample=sample, t_ns=t_ns, newest_sample=sample, newest_ns=t_ns, stamps=1,
            weight=1.0, mean_x=0.0, mean_y=0.0, cxx=0.0, cxy=0.0, cyy=0.0, outliers=0, steps=steps,
            first_samples=(sample,), first_ns=(t_ns,), usual_drift=usual_drift,
        )  # fmt: skip
        return cls(fs_hz=fs_hz, state=state)

    @cached_property
    def drift(self) -> float:
        """Seconds that the device's clock gains per second of samples at the nominal rate."""
        s = self.state
        if s.cxx <= 0 or s.stamps < MIN_STAMPS:
            return s.usual_drift
        slope = s.cxy / s.cxx
        off, error = slope - s.usual_drift, self._slope_error
        # The prior is at least as wide as the drift that the stamps show with certainty.
        prior = max(PRIOR_DRIFT, abs(off) - RATE_SIGMAS * error)
        return s.usual_drift + off * prior**2 / (prior**2 + error**2)

    @property
    def jitter_s(self) -> float:
        """Standard deviation of the stamps about the line, seconds, by the robust scatter."""
        s = self.state
        if s.scatter2 is not None:
            return math.sqrt(s.scatter2)
        slope = s.cxy / s.cxx if s.cxx > 0 else 0.0
        return math.sqrt(max(s.cyy - slope * s.cxy, 0.0) / max(s.weight, 1.0))

    @property
    def is_learned(self) -> bool:
        """Whether the device's jitter is known from enough stamps."""
        return self.state.stamps >= LEARNED_STAMPS

    @property
    def rate_hz(self) -> float | None:
        """The sampling rate according to the stamps; None while there are too few."""
        return self.fs_hz / (1 + self.drift) if self.is_learned else None

    def status(self) -> ClockStatus:
        """Return the public status of the clock."""
        return ClockStatus(
            drift_ppm=self.drift * 1e6,
            jitter_s=self.jitter_s,
            stamps=self.state.stamps,
            steps=self.state.steps,
            fs_hz=self.rate_hz,
            outliers=self.state.ignored,
        )

    def stamped(self, sample: int, t_ns: int) -> Clock:
        """Return the clock after one more stamp, with its finding."""
        if not self.is_learned:
            return self._learned(sample, t_ns)._with_rate_checked()
        late = self.late_s(sample, t_ns)
        if abs(late) > self.tolerance_s:
            return self._suspected(sample, t_ns)
        clock = self._believed(sample, t_ns, late)
        if self.state.suspect_ns:
            return clock._with_outliers_reported()
        return clock._with_rate_checked()

    def late_s(self, sample: int, t_ns: int) -> float:
        """Return how much later than the line a stamp is, seconds."""
        return self._y(sample, t_ns) - self._line(self._x(sample))

    @property
    def tolerance_s(self) -> float:
        """How far from the line a stamp is an outlier, seconds."""
        return max(OUTLIER_S, OUTLIER_SIGMAS * self.jitter_s)

    def time_of(self, sample: int) -> int | None:
        """Return the time of `sample` by the fitted line, ns UTC; None if there is no such time."""
        x = self._x(sample)
        return self._at(self.state.sample, self.state.t_ns, sample, self._line(x))

    def raw_time_of(self, sample: int) -> int | None:
        """Return the time of `sample` by the newest stamp and the nominal rate, ns UTC."""
        return self._at(self.state.newest_sample, self.state.newest_ns, sample, 0.0)

    def lost_tolerance_s(self, n: int) -> float:
        """Return how late the stamp of a chunk of `n` samples may be without a loss, seconds."""
        part = LOST_SAMPLES if self.is_learned else LOST_PART * n
        return max(part / self.fs_hz * (1 + self.drift), OUTLIER_SIGMAS * self.jitter_s)

    def samples_in(self, seconds: float) -> int:
        """Return the number of samples in a time on the device's clock."""
        return round(seconds * self.fs_hz / (1 + self.drift))

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
        if self.state.stamps < MIN_STAMPS:
            return 0
        late = self.late_s(sample, t_ns)
        return self.samples_in(late) if late > self.lost_tolerance_s(n) else 0

    @property
    def _slope_error(self) -> float:
        """Standard error of the unshrunk slope."""
        s = self.state
        # With few stamps, all of their deviation may be jitter.
        about = self.jitter_s if self.is_learned else math.sqrt(s.cyy / s.weight)
        return max(about, ROUNDING_S) / math.sqrt(s.cxx)

    def _learned(self, sample: int, t_ns: int) -> Clock:
        """Return the clock with one of its first stamps, fitted to all of them again."""
        s = self.state
        samples, times = (*s.first_samples, sample), (*s.first_ns, t_ns)
        x = np.array([self._x(each) for each in samples])
        y = np.array([self._y(each, t) for each, t in zip(samples, times, strict=True)])
        rate = measured_rate(np.array(samples), np.array(times))
        usual_hz, usual = self.fs_hz / (1 + s.usual_drift), s.usual_drift
        sure = rate is not None and rate.differs_from(usual_hz)
        if rate is not None and sure:
            usual = self.fs_hz / rate.fs_hz - 1
        level = np.median(y - usual * x)
        off = y - usual * x - level
        # The sums are of deviations from the known slope, without outliers.
        limit = max(OUTLIER_S, OUTLIER_SIGMAS * 1.5 * float(np.median(np.abs(off))))
        off = np.where(np.abs(off) > limit, 0.0, off) if len(samples) >= LEARNED_STAMPS else off
        dx, dy = x - x.mean(), off - off.mean()
        cxx, cxy, cyy = float(dx @ dx), float(dx @ dy), float(dy @ dy)
        slope = cxy / cxx if cxx > 0 else 0.0
        freedom = max(len(samples) - 2, 1)
        scatter2 = max((cyy - slope * cxy) / freedom, ROUNDING_S**2)
        done = len(samples) >= LEARNED_STAMPS
        return self._with(
            stamps=s.stamps + 1, newest_sample=sample, newest_ns=t_ns,
            first_samples=() if done else samples, first_ns=() if done else times,
            usual_drift=usual, weight=float(len(samples)), mean_x=float(x.mean()),
            mean_y=float(level + off.mean() + usual * x.mean()),
            cxx=cxx, cxy=cxy + usual * cxx, cyy=cyy, scatter2=scatter2,
        )  # fmt: skip

    def _believed(self, sample: int, t_ns: int, late: float) -> Clock:
        """Return the clock after a stamp near the line."""
        s, x, y = self.state, self._x(sample), self._y(sample, t_ns)
        late, scatter = abs(late), max(self.jitter_s, ROUNDING_S)
        counts = min(1.0, HUBER * scatter / late) if late > 0 else 1.0
        fade = math.exp(-max(x - self._x(s.newest_sample), 0.0) / MEMORY_S)
        weight = fade * s.weight + counts
        dx, dy = x - s.mean_x, y - s.mean_y
        share, step = fade * s.weight * counts / weight, counts / weight
        clipped2 = min(late, HUBER * scatter) ** 2
        scatter2 = scatter**2 + (clipped2 - scatter**2) / min(s.stamps, SCATTER_STAMPS)
        return self._with(
            stamps=s.stamps + 1, weight=weight, newest_sample=sample, newest_ns=t_ns,
            mean_x=s.mean_x + step * dx, mean_y=s.mean_y + step * dy,
            cxx=fade * s.cxx + share * dx * dx, cxy=fade * s.cxy + share * dx * dy,
            cyy=fade * s.cyy + share * dy * dy, scatter2=max(scatter2, ROUNDING_S**2),
        )  # fmt: skip

    def _suspected(self, sample: int, t_ns: int) -> Clock:
        """Return the clock after a stamp far from the line."""
        s, late = self.state, self.late_s(sample, t_ns)
        samples, times = s.suspect_samples, s.suspect_ns
        if times and abs(late - self.late_s(samples[-1], times[-1])) > self.tolerance_s:
            samples, times = (), ()
        since = s.suspect_since if samples else sample
        kept = LEARNED_STAMPS - 1
        samples, times = (*samples[1 - kept :], sample), (*times[1 - kept :], t_ns)
        lasted_s = (sample - since) / self.fs_hz
        if len(samples) >= STEP_STAMPS and lasted_s >= hold_s(late):
            return self._begun_anew(samples, times, late)
        worst = late if abs(late) > abs(s.worst_s) else s.worst_s
        return self._with(
            outliers=s.outliers + 1, ignored=s.ignored + 1, worst_s=worst,
            newest_sample=sample, newest_ns=t_ns,
            suspect_samples=samples, suspect_ns=times, suspect_since=since,
        )  # fmt: skip

    def _begun_anew(self, samples: Sequence[int], times: Sequence[int], late: float) -> Clock:
        s = self.state
        clock = Clock.started(
            self.fs_hz, samples[0], times[0], steps=s.steps + 1, usual_drift=self.drift
        )
        clock = clock._with(ignored=s.ignored, rate_reported=s.rate_reported)
        for sample, t_ns in zip(samples[1:], times[1:], strict=True):
            clock = clock.stamped(sample, t_ns)
        direction = "forward" if late > 0 else "back"
        detail = f"the device's clock was set {direction} by {abs(late):.6g} s"
        return replace(clock, finding=ClockFinding(kind="clock", detail=detail))

    def _with_outliers_reported(self) -> Clock:
        """Return the clock with a report of the outliers that just ended."""
        s = self.state
        many = "1 time stamp was" if s.outliers == 1 else f"{s.outliers} time stamps were"
        side = "ahead of" if s.worst_s > 0 else "behind"
        detail = f"{many} up to {abs(s.worst_s):.6g} s {side} the others, and ignored"
        clock = self._with(
            outliers=0, worst_s=0.0, suspect_samples=(), suspect_ns=(), suspect_since=0
        )
        return replace(clock, finding=ClockFinding(kind="clock", detail=detail))

    def _with_rate_checked(self) -> Clock:
        """Return the clock with a report of a wrong nominal rate, once it is certain."""
        s = self.state
        if s.rate_reported or s.stamps < MIN_STAMPS or s.cxx <= 0:
            return self
        # With few stamps, `measured_rate` decides whether they contradict the nominal rate.
        few = s.stamps < 3 * LEARNED_STAMPS
        drift = s.usual_drift if few else self.drift
        if abs(drift) <= RATE_TOLERANCE or (
            not few and abs(drift) <= RATE_SIGMAS * self._slope_error
        ):
            return self
        detail = wrong_rate(self.fs_hz / (1 + drift), self.fs_hz)
        return replace(
            self._with(rate_reported=True), finding=ClockFinding(kind="rate", detail=detail)
        )

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

    def _with(self, **changes: object) -> Clock:
        return Clock(fs_hz=self.fs_hz, state=self.state.model_copy(update=changes))
