"""The interface of acquisition sources: devices and recordings.

A `Source` describes where to read; opening it gives `Signals`: a description, and an iteration over
pieces. `Recorded` implements `Signals` for any recording, `Selected` a `Source` of some channels of
another one.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from cwt_runtime.installation import install_hint
from cwt_schemas.message import listed
from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.signals import Samples
from pycwt_client.sources.channels import legal_names
from pycwt_client.sources.places import Run

__all__ = [
    "CHUNK_S",
    "LIVE_CHUNK_S",
    "NS",
    "Annotation",
    "ChoiceNeededError",
    "MissingDriverError",
    "Recorded",
    "Selected",
    "Signals",
    "Source",
    "SourceError",
    "SourceInfo",
    "at_rate",
    "one_rate",
    "places_of",
    "steps_of",
]

#: Default duration of a piece of a recording, seconds.
CHUNK_S = 0.2
#: The same for a device; results wait for it.
LIVE_CHUNK_S = 0.02

#: Nanoseconds per second.
NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """An annotation of a recording: an event, or a note."""

    #: Seconds from the first sample at the rate of the recording, so that the position is `onset_s`
    #: times `SourceInfo.fs_hz`; negative before the first sample.
    onset_s: float
    #: 0 for a point in time.
    duration_s: float
    text: str


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """Description of a source."""

    #: Name of the file, stream or board, for display.
    name: str
    #: In the order of the columns of samples; names are valid on the bus and distinct.
    channels: tuple[Channel, ...]
    fs_hz: float
    #: Length of a recording; None for a device, which runs until it is stopped.
    n_samples: int | None
    #: Time of the first sample of a recording, nanoseconds UTC; None if unknown.
    t0_ns: int | None = None
    #: Rate by the time stamps of a recording; None without time stamps, or with too few.
    measured_fs_hz: float | None = None
    #: Warnings for the user about the recording, such as a missing end; sentences.
    warnings: tuple[str, ...] = ()
    #: Annotations of the recording, in order of time.
    annotations: tuple[Annotation, ...] = ()

    @property
    def live(self) -> bool:
        """Whether the source is a device."""
        return self.n_samples is None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(channel.name for channel in self.channels)


class Signals(Protocol):
    """An open source.

    Pieces are in order and do not overlap; their samples are (time, channel). If `first_sample` is
    ahead of the previous piece, samples were lost. NaN is a missing sample, and so is an infinite
    value, which the pieces of a recording convert to NaN. A device provides pieces as it records, a
    recording as fast as they are consumed. One task iterates over it once.
    """

    @property
    def info(self) -> SourceInfo:
        """Description of the source."""

    def __aiter__(self) -> AsyncIterator[Piece]:
        """Iterate over the pieces."""


class Source(Protocol):
    """Place to read samples from; creating one accesses neither file nor device."""

    def open(self) -> AbstractAsyncContextManager[Signals]:
        """Open the source; leaving the context closes the file or the device.

        Raises
        ------
        SourceError
            The source does not exist, or is not valid.
        """


class SourceError(Exception):
    """A file, stream or board is not readable; one line gives the reason and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(line.strip() for line in message.splitlines()))


class ChoiceNeededError(SourceError):
    """A file has several recordings, of which one must be selected.

    Attributes
    ----------
    choices : tuple of (str or None, tuple of str or None)
        The choices: name of a source, or None for the same source; and its channels, or None for
        all.
    """

    def __init__(
        self, message: str, choices: tuple[tuple[str | None, tuple[str, ...] | None], ...]
    ) -> None:
        super().__init__(message)
        self.choices = choices


class MissingDriverError(SourceError):
    """The package that reads this kind of source is not installed."""

    def __init__(self, kind: str, extra: str) -> None:
        super().__init__(f"{kind} needs a driver: {install_hint(extra)}")
        self.extra = extra


class Recorded:
    """Implement `Signals` for a recording that is read piece by piece.

    Parameters
    ----------
    info
        Description of the source.
    read
        Returns samples ``start <= i < stop``, (time, channel). Called in a thread, once at a time.
    chunk_s
        Duration of a piece, seconds.
    t0_ns
        Time of the first sample, nanoseconds UTC; None if unknown.
    runs
        Positions of the samples; None if there are no gaps.
    stamps_s
        Time of each sample, (time,), in seconds from any origin; by default from the rate of
        `info`. Without `t0_ns`, the last sample is assumed to be taken now.
    close
        Closes the file that `read` uses.
    """

    def __init__(
        self,
        info: SourceInfo,
        read: Callable[[int, int], Samples],
        *,
        chunk_s: float,
        t0_ns: int | None = None,
        runs: Sequence[Run] | None = None,
        stamps_s: NDArray[np.float64] | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._info = info
        self._read = read
        self._step = steps_of(chunk_s, info.fs_hz)
        if t0_ns is None and stamps_s is not None:
            t0_ns = max(time.time_ns() - round(float(stamps_s[-1] - stamps_s[0]) * NS), 0)
        self._t0_ns = t0_ns
        self._stamps_s = stamps_s
        self._close = close
        whole = Run(start=0, stop=info.n_samples or 0, first_sample=0)
        self._runs = [whole] if runs is None else runs

    @property
    def info(self) -> SourceInfo:
        """Description of the source."""
        return self._info

    def close(self) -> None:
        """Close the file; no further pieces can be read."""
        self._close()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        for run in self._runs:
            for start in range(run.start, run.stop, self._step):
                stop = min(start + self._step, run.stop)
                samples = await to_thread.run_sync(self._read, start, stop)
                first = run.first_sample + start - run.start
                t0_ns = self._time_of(start, first)
                yield Piece(first_sample=first, t0_ns=t0_ns, samples=_without_infinity(samples))

    def _time_of(self, place: int, sample: int) -> int | None:
        if self._t0_ns is None:
            return None
        if self._stamps_s is None:
            return self._t0_ns + round(sample / self._info.fs_hz * NS)
        return self._t0_ns + round(float(self._stamps_s[place] - self._stamps_s[0]) * NS)


def _without_infinity(samples: Samples) -> Samples:
    if samples.dtype.kind != "f" or not (infinite := np.isinf(samples)).any():
        return samples
    return np.where(infinite, samples.dtype.type(np.nan), samples)


def steps_of(chunk_s: float, fs_hz: float) -> int:
    """Return the number of samples in a piece of about `chunk_s`."""
    return max(math.floor(chunk_s * fs_hz + 0.5), 1)


class Selected:
    """Implement `Source` for selected channels of another source."""

    def __init__(self, source: Source, channels: tuple[str, ...]) -> None:
        self._source = source
        self._channels = channels

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Open the other source."""
        async with self._source.open() as signals:
            yield _Columns(signals, self._channels)


class _Columns:
    def __init__(self, signals: Signals, channels: tuple[str, ...]) -> None:
        whole = signals.info
        self._signals = signals
        self._places = places_of(channels, whole.channel_names, whole.name)
        self._info = replace(whole, channels=tuple(whole.channels[at] for at in self._places))

    @property
    def info(self) -> SourceInfo:
        return self._info

    async def __aiter__(self) -> AsyncIterator[Piece]:
        async for piece in self._signals:
            columns: Samples = piece.samples[:, self._places]
            yield replace(piece, samples=columns)


def at_rate(
    annotations: Iterable[Annotation], stated_hz: float, fs_hz: float
) -> tuple[Annotation, ...]:
    """Return annotations of a file that states one rate and is read at another.

    Each stays at its sample.
    """
    factor = stated_hz / fs_hz
    return tuple(
        replace(each, onset_s=each.onset_s * factor, duration_s=each.duration_s * factor)
        for each in annotations
    )


def one_rate(rates: Mapping[str, float], name: str) -> float:
    """Return the common rate of all channels of a file, Hz; `rates` is by channel.

    Raises
    ------
    ChoiceNeededError
        There are several rates; the choices are the channels of each.
    """
    by_rate: dict[float, tuple[str, ...]] = {}
    for channel, fs_hz in rates.items():
        by_rate[fs_hz] = (*by_rate.get(fs_hz, ()), channel)
    if len(by_rate) != 1:
        listing = ", ".join(f"{channel} {fs_hz:g} Hz" for channel, fs_hz in rates.items())
        raise ChoiceNeededError(
            f"the channels of {name} have several rates; select those of one with --channels: "
            f"{listing}",
            tuple((None, channels) for channels in by_rate.values()),
        )
    return next(iter(by_rate))


def places_of(selected: tuple[str, ...], names: tuple[str, ...], whose: str) -> list[int]:
    """Return the indices of the selected channels among those with these names.

    A channel may be given by its name, or by its label in the file or device.
    """
    selected = tuple(name if name in names else legal_names([name])[0] for name in selected)
    unknown = [name for name in selected if name not in names]
    if unknown:
        raise SourceError(f"{whose} has no channel {listed(unknown)}; there are {listed(names)}")
    return [names.index(name) for name in selected]
