"""What samples come from: a device, or what a device once recorded.

A `Source` says where; opening it gives `Signals`: what there is, and an iteration over its pieces.
`Recorded` implements `Signals` for any recording, `Selected` a `Source` of some of the channels.
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

#: Seconds in one piece of a recording, unless somebody says else.
CHUNK_S = 0.2
#: Of a device: results wait for it.
LIVE_CHUNK_S = 0.02

#: Nanoseconds of a second.
NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A mark in a recording: what happened, or what a person saw."""

    #: Seconds from the first sample at the rate of the recording, so that the position is
    #: `onset_s` times `SourceInfo.fs_hz`; negative if it was before.
    onset_s: float
    #: 0 for a moment.
    duration_s: float
    text: str


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """What a source gives."""

    #: Of the file, of the stream, of the board; for people.
    name: str
    #: In the order of the samples' columns; their names are legal on the bus, and differ.
    channels: tuple[Channel, ...]
    fs_hz: float
    #: Length of a recording; None: a device, which goes on until it is stopped.
    n_samples: int | None
    #: When the first sample of a recording was taken, nanoseconds UTC, if it says.
    t0_ns: int | None = None
    #: Rate by the time stamps of a recording; None where it has none, or too few.
    measured_fs_hz: float | None = None
    #: What a user has to know of the recording, such as that its end is missing; sentences.
    warnings: tuple[str, ...] = ()
    #: Marks in the recording, in the order of their times.
    annotations: tuple[Annotation, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it is a device."""
        return self.n_samples is None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The names alone."""
        return tuple(channel.name for channel in self.channels)


class Signals(Protocol):
    """An open source.

    Pieces come in order, without overlap, their samples (time, channel). Where `first_sample` is
    ahead of the piece before, samples were lost; NaN is a missing one, and so is an infinite one,
    which is NaN in the pieces of a recording. A device's pieces come as it
    has them, a recording's as fast as they are asked for. It is iterated once, by one task.
    """

    @property
    def info(self) -> SourceInfo:
        """What there is."""

    def __aiter__(self) -> AsyncIterator[Piece]:
        """Iterate over the pieces."""


class Source(Protocol):
    """Where samples come from; making one touches neither file nor device."""

    def open(self) -> AbstractAsyncContextManager[Signals]:
        """Open it; leaving the context closes the file or the device.

        Raises
        ------
        SourceError
            It is not there, or not what it should be.
        """


class SourceError(Exception):
    """A file, a stream or a board that cannot be read; one line says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(line.strip() for line in message.splitlines()))


class ChoiceNeededError(SourceError):
    """A file has several recordings in it, of which one has to be chosen.

    Attributes
    ----------
    choices : tuple of (str or None, tuple of str or None)
        What there is to choose from: the name of a source, None for the same, and the channels of
        it, None for all.
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
    """Implements `Signals` over what can be read piece by piece.

    Parameters
    ----------
    info
        What there is.
    read
        Returns samples `start` to below `stop`, (time, channel); called in a thread, once at a
        time.
    chunk_s
        Seconds in one piece.
    t0_ns
        When the first sample was taken, if the recording says.
    runs
        Where what is read belongs; None: without a gap.
    stamps_s
        When each sample that can be read was taken, (time,), in seconds from any origin; None: at
        the rate of `info`. Without `t0_ns`, the last sample counts as taken now.
    close
        Closes the file that `read` takes samples from.
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
        """What there is."""
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
    """Return how many samples there are in a piece of about `chunk_s`."""
    return max(math.floor(chunk_s * fs_hz + 0.5), 1)


class Selected:
    """Implements `Source`: the channels of another one that are wanted."""

    def __init__(self, source: Source, channels: tuple[str, ...]) -> None:
        self._source = source
        self._channels = channels

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Open the other one."""
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
    """Return the rate in Hz that all channels of a file have; `rates` is by channel.

    Raises
    ------
    ChoiceNeededError
        They have several rates; the choices are the channels of each one.
    """
    by_rate: dict[float, tuple[str, ...]] = {}
    for channel, fs_hz in rates.items():
        by_rate[fs_hz] = (*by_rate.get(fs_hz, ()), channel)
    if len(by_rate) != 1:
        listing = ", ".join(f"{channel} {fs_hz:g} Hz" for channel, fs_hz in rates.items())
        raise ChoiceNeededError(
            f"the channels of {name} have several rates, choose those of one with --columns: "
            f"{listing}",
            tuple((None, channels) for channels in by_rate.values()),
        )
    return next(iter(by_rate))


def places_of(wanted: tuple[str, ...], names: tuple[str, ...], whose: str) -> list[int]:
    """Return where the wanted channels are among those with these names.

    A channel may be called by its name, or as the file or the device writes it.
    """
    wanted = tuple(name if name in names else legal_names([name])[0] for name in wanted)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SourceError(f"{whose} has no channel {listed(unknown)}; there are {listed(names)}")
    return [names.index(name) for name in wanted]
