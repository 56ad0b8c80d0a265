"""Measure the sampling rate from time stamps, despite jitter, outliers, losses and clock steps.

A stamp is ``t = a + sample / fs`` plus jitter. Some stamps are wrong by any amount, and where
samples were lost without a count of them, or the clock was set, all later stamps are shifted. The
rate is therefore estimated in two steps:

1. the median of the slopes between stamps an eighth of the record apart. A wrong stamp spoils two
   of these slopes, a shift an eighth of them, and the median stands up to half;
2. a least-squares line through the deviations, which uses every stamp. It is fitted within the
   stretches between jumps, with one offset for each, so a shift or a wrong stamp has no influence.

The median of slopes: P. K. Sen, J. Am. Stat. Assoc. 63 (1968) 1379.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = [
    "MIN_STAMPS",
    "RATE_TOLERANCE",
    "MeasuredRate",
    "RateMeter",
    "measured_rate",
    "rate_text",
    "wrong_rate",
]

#: Fewest stamps that show a rate: three steps between them, of which one may be wrong.
MIN_STAMPS = 4
#: Relative deviation of an ordinary device: its times are fitted, and the error of its frequencies
#: is less than a row of 256 per octave.
RATE_TOLERANCE = 2e-3
#: Standard errors above which a deviation of the rate is significant.
RATE_SIGMAS = 5.0
#: Up to this number of stamps, the median deviation is not reliable. The largest one replaces it,
#: so the rate is known only if all stamps agree.
FEW_STAMPS = 25
#: Up to this number of stamps, a rate that is higher than the nominal one by this factor may be an
#: effect of a few long bursts.
BURST_STAMPS = 256
BURST_FACTOR = 4.0
#: Step between neighbouring deviations that ends a stretch, in scatters.
JUMP_SIGMAS = 6.0
#: Parts of the record: slopes are taken between stamps one part apart.
PARTS = 8
#: Stamps that a measurement uses, evenly spaced; more do not improve it.
MAX_STAMPS = 2048
#: Standard deviations in a median absolute deviation, for normally distributed values.
MAD_SIGMAS = 1.4826
#: Rounding of stamps, which are integer nanoseconds: the smallest possible scatter.
ROUNDING_S = 0.3e-9

Real = npt.NDArray[np.float64]
Numbers = npt.ArrayLike


@dataclass(frozen=True, kw_only=True)
class MeasuredRate:
    """A sampling rate measured from time stamps."""

    fs_hz: float
    #: Standard error of `fs_hz`, in Hz.
    error_hz: float
    #: Standard deviation of the stamps about the line, in seconds.
    jitter_s: float
    #: Number of stamps used.
    stamps: int

    def differs_from(self, nominal_hz: float) -> bool:
        """Return whether `nominal_hz` is wrong, significantly and by more than `RATE_TOLERANCE`."""
        if self.stamps <= BURST_STAMPS and self.fs_hz > BURST_FACTOR * nominal_hz:
            return False
        # Stamps are linear in the period, not in the rate.
        off = abs(1 / self.fs_hz - 1 / nominal_hz)
        return off > max(RATE_TOLERANCE / nominal_hz, RATE_SIGMAS * self.error_hz / self.fs_hz**2)


def measured_rate(samples: Numbers, times_ns: Numbers) -> MeasuredRate | None:
    """Return the sampling rate according to time stamps, None if they do not determine it.

    Parameters
    ----------
    samples
        Index of each stamped sample, ascending, (stamp,).
    times_ns
        Time stamp of each, in nanoseconds, (stamp,). Integers keep their full precision.
    """
    index, times = np.asarray(samples), np.asarray(times_ns)
    if len(index) != len(times):
        raise ValueError(
            f"cannot measure the rate: {len(index)} samples have {len(times)} time stamps"
        )
    if len(index) < MIN_STAMPS:
        return None
    chosen = np.linspace(0, len(index) - 1, min(len(index), MAX_STAMPS)).round().astype(np.intp)
    x = (index[chosen] - index[0]).astype(np.float64)
    t = (times[chosen] - times[0]).astype(np.float64) / 1e9
    if len(x) > FEW_STAMPS:
        x, t = _first_of_bursts(x, t)
    lag = max(len(x) // PARTS, 1)
    steps = x[lag:] - x[:-lag]
    slope = _median_slope(x, t, lag)
    if not (math.isfinite(slope) and slope > 0):
        return None
    late = t - slope * x
    few = len(x) <= FEW_STAMPS
    scatter = max(_largest(np.diff(late)) if few else _mad(late[lag:] - late[:-lag]), ROUNDING_S)
    error = scatter * math.sqrt(lag / (len(x) - lag)) / float(np.median(steps))
    jitter_s = scatter / math.sqrt(2)
    if not few:
        correction, refined, about_lines_s = _within_stretches(x, late, jitter_s)
        # Jumps that were not recognised as such would pull the line away from the median.
        if refined < error and abs(correction) <= min(4 * error, slope / 2):
            slope, error, jitter_s = slope + correction, refined, about_lines_s
    return MeasuredRate(
        fs_hz=1 / slope, error_hz=error / slope**2, jitter_s=jitter_s, stamps=len(x)
    )


def _median_slope(x: Real, t: Real, lag: int) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.median((t[lag:] - t[:-lag]) / (x[lag:] - x[:-lag])))


def _first_of_bursts(x: Real, t: Real) -> tuple[Real, Real]:
    """Return the first stamp of each burst, if most stamps repeat the one before.

    A device that stamps packets makes steps of zero and, from time to time, of a packet.
    """
    coarse = _median_slope(x, t, len(x) // PARTS)
    if not _median_slope(x, t, 1) < coarse / 2:
        return x, t
    first = np.concatenate(([True], np.diff(t) > coarse / 2 * np.diff(x)))
    return (x[first], t[first]) if np.count_nonzero(first) >= MIN_STAMPS else (x, t)


def _within_stretches(x: Real, late: Real, scatter: float) -> tuple[float, float, float]:
    """Return slope, its standard error, and scatter about lines with one offset per stretch."""
    jumps = np.abs(np.diff(late)) > JUMP_SIGMAS * scatter
    stretch = np.concatenate(([0], np.cumsum(jumps)))
    count = np.bincount(stretch)
    dx = x - (np.bincount(stretch, x) / count)[stretch]
    dy = late - (np.bincount(stretch, late) / count)[stretch]
    spread = float(dx @ dx)
    freedom = len(x) - len(count) - 1
    if spread <= 0 or freedom < 1:
        return 0.0, math.inf, scatter
    slope = float(dx @ dy) / spread
    jitter_s = max(math.sqrt(float(np.sum((dy - slope * dx) ** 2)) / freedom), ROUNDING_S)
    return slope, jitter_s / math.sqrt(spread), jitter_s


def _largest(values: Real) -> float:
    return float(np.max(np.abs(values - np.median(values))))


def _mad(values: Real) -> float:
    return MAD_SIGMAS * float(np.median(np.abs(values - np.median(values))))


def rate_text(fs_hz: float) -> str:
    """Return a measured rate as text, with four digits or more: ``100.0 Hz``."""
    return f"{fs_hz:.{max(3 - math.floor(math.log10(fs_hz)), 0)}f} Hz"


def wrong_rate(measured_hz: float, nominal_hz: float) -> str:
    """Return the sentence that reports a wrong nominal rate."""
    return f"time stamps show {rate_text(measured_hz)}, the stream has {nominal_hz:g} Hz"


@dataclass
class RateMeter:
    """Measures the rate of a stream piece by piece, in bounded memory.

    It keeps at most `capacity` stamps, evenly spaced over all that it was given: when it is full it
    drops every other one, and takes half as many from then on.
    """

    capacity: int = 512
    _samples: list[int] = field(default_factory=list, init=False)
    _times_ns: list[int] = field(default_factory=list, init=False)
    _stride: int = field(default=1, init=False)
    _count: int = field(default=0, init=False)

    def add(self, sample: int, t_ns: int) -> None:
        """Add the stamp of one sample; samples ascend."""
        if self._count % self._stride == 0:
            if len(self._samples) >= self.capacity:
                self._samples, self._times_ns = self._samples[::2], self._times_ns[::2]
                self._stride *= 2
            if self._count % self._stride == 0:
                self._samples.append(sample)
                self._times_ns.append(t_ns)
        self._count += 1

    def measured(self) -> MeasuredRate | None:
        """Return the rate so far, None if it is not known."""
        return measured_rate(
            np.array(self._samples, dtype=np.int64), np.array(self._times_ns, dtype=np.int64)
        )
