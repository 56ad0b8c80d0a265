"""Summary of a source: channels with their ranges and faults, gaps, rates, annotations.

Rules
-----
- An interval is flat if all its samples are equal for at least one second and ten samples.
- A sample is railed (clipped) if it and its neighbours, three or more in a row, equal the maximum
  or the minimum of the channel: the amplifier is at its limit. A channel that is at the limit most
  of the time, such as a trigger or a square wave, has no railed samples.
- A gap is a jump of positions; a missing sample is NaN or infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import anyio
import numpy as np
from numpy.typing import NDArray

from cwt_schemas.sampling_rate import MeasuredRate, RateMeter
from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.sources.source import Signals, SourceInfo

__all__ = ["ChannelDescription", "Description", "Gap", "describe"]

FLAT_S, FLAT_SAMPLES = 1.0, 10
RAIL_SAMPLES = 3
#: Fraction of all samples above which the limit is the resting value of the channel.
RESTING = 0.5

Column = NDArray[np.float64]
Lengths = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Samples that were lost."""

    first_sample: int
    n_samples: int


@dataclass(frozen=True, kw_only=True)
class ChannelDescription:
    """The samples of one channel; statistics are NaN without samples."""

    channel: Channel
    minimum: float
    maximum: float
    mean: float
    std: float
    #: Number of samples that are missing, flat, or at a limit of the channel.
    missing: int
    flat: int
    railed: int


@dataclass(frozen=True, kw_only=True)
class Description:
    """A source, or the first seconds of a device."""

    info: SourceInfo
    #: Number of samples, and their duration including gaps, seconds.
    n_samples: int
    length_s: float
    #: Rate by the time stamps; None without time stamps.
    measured_fs_hz: float | None
    gaps: tuple[Gap, ...]
    channels: tuple[ChannelDescription, ...]


async def describe(signals: Signals, *, seconds: float | None = None) -> Description:
    """Read an open source to its end, or a device for some seconds, and describe it."""
    info, summary, meter = signals.info, _Summary(signals.info), RateMeter()
    with anyio.move_on_after(math.inf if seconds is None else seconds):
        async for piece in signals:
            summary.add(piece)
            if info.live and piece.t0_ns is not None:
                meter.add(piece.first_sample, piece.t0_ns)
    measured: MeasuredRate | None = meter.measured()
    return summary.description(measured.fs_hz if measured else info.measured_fs_hz)


class _Summary:
    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        flat = max(math.ceil(FLAT_S * info.fs_hz), FLAT_SAMPLES)
        self._channels = [_ChannelSummary(flat) for _ in info.channels]
        self._gaps: list[Gap] = []
        self._first: int | None = None
        self._next = 0
        self._count = 0

    def add(self, piece: Piece) -> None:
        if self._first is None:
            self._first = piece.first_sample
        elif (lost := piece.first_sample - self._next) > 0:
            self._gaps.append(Gap(first_sample=self._next, n_samples=lost))
            for channel in self._channels:
                channel.end_run()
        samples = np.asarray(piece.samples, dtype=np.float64).reshape(len(piece.samples), -1)
        for channel, column in zip(self._channels, samples.T, strict=True):
            channel.add(column)
        self._next = piece.next_sample
        self._count += len(samples)

    def description(self, measured_fs_hz: float | None) -> Description:
        named = zip(self._info.channels, self._channels, strict=True)
        return Description(
            info=self._info,
            n_samples=self._count,
            length_s=(self._next - (self._first or 0)) / self._info.fs_hz,
            measured_fs_hz=measured_fs_hz,
            gaps=tuple(self._gaps),
            channels=tuple(summary.described(channel) for channel, summary in named),
        )


@dataclass
class _Extreme:
    """The largest value so far, and the number of samples that had it in runs of several."""

    value: float = -math.inf
    samples: int = 0

    def add(self, values: Column, lengths: Lengths) -> None:
        if len(values) == 0:
            return
        largest = float(values.max())
        if largest > self.value:
            self.value, self.samples = largest, 0
        if largest == self.value:
            at_it = (values == largest) & (lengths >= RAIL_SAMPLES)
            self.samples += int(lengths[at_it].sum())


@dataclass
class _ChannelSummary:
    """Statistics of one channel, block by block; runs of equal samples continue across blocks."""

    flat_from: int
    count: int = 0
    missing: int = 0
    mean: float = 0.0
    #: Sum of squared deviations from the mean.
    squares: float = 0.0
    flat: int = 0
    highest: _Extreme = field(default_factory=_Extreme)
    lowest: _Extreme = field(default_factory=_Extreme)
    #: Value and length of the current run.
    run: tuple[float, int] | None = None

    def add(self, column: Column) -> None:
        finite = np.isfinite(column)
        known = column[finite]
        self.missing += len(column) - len(known)
        self._add_moments(known)
        edges = np.flatnonzero(np.diff(column) != 0) + 1  # NaN differs from everything
        starts = np.concatenate(([0], edges))
        lengths = np.diff(np.concatenate((starts, [len(column)])))
        values = column[starts]
        if self.run is not None and self.run[0] == values[0]:
            lengths[0] += self.run[1]
        else:
            self.end_run()
        self._add_runs(values[:-1], lengths[:-1])
        self.run = (float(values[-1]), int(lengths[-1]))

    def end_run(self) -> None:
        """End the current run."""
        if self.run is not None:
            value, length = self.run
            self._add_runs(np.array([value]), np.array([length]))
        self.run = None

    def described(self, channel: Channel) -> ChannelDescription:
        self.end_run()
        railed = self.highest.samples + self.lowest.samples
        known = self.count > 0
        return ChannelDescription(
            channel=channel,
            minimum=-self.lowest.value if known else math.nan,
            maximum=self.highest.value if known else math.nan,
            mean=self.mean if known else math.nan,
            std=math.sqrt(self.squares / self.count) if known else math.nan,
            missing=self.missing,
            flat=self.flat,
            railed=railed if railed <= RESTING * self.count else 0,
        )

    def _add_runs(self, values: Column, lengths: Lengths) -> None:
        finite = np.isfinite(values)
        values, lengths = values[finite], lengths[finite]
        self.flat += int(lengths[lengths >= self.flat_from].sum())
        self.highest.add(values, lengths)
        self.lowest.add(-values, lengths)

    def _add_moments(self, known: Column) -> None:
        """Merge the mean and deviations of a block; Chan, Golub and LeVeque (1983)."""
        if len(known) == 0:
            return
        mean, total = float(known.mean()), self.count + len(known)
        off = mean - self.mean
        self.squares += float(((known - mean) ** 2).sum())
        self.squares += off**2 * self.count * len(known) / total
        self.mean += off * len(known) / total
        self.count = total
