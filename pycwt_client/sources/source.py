"""What samples come from: a device, or what a device once recorded.

A `Source` says where; opening it gives `Signals`: what there is, and an iteration over its pieces.
`Recorded` implements `Signals` for any recording, `Selected` a `Source` of some of the channels.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from anyio import to_thread

from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.signals import Samples
from pycwt_client.sources.places import Run

__all__ = [
    "CHUNK_S",
    "LIVE_CHUNK_S",
    "NS",
    "MissingDriverError",
    "Recorded",
    "Selected",
    "Signals",
    "Source",
    "SourceError",
    "SourceInfo",
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
class SourceInfo:
    """What a source gives."""

    #: Of the file, of the stream, of the board; for people.
    name: str
    #: In the order of the samples' columns; their names are legal on the bus, and differ.
    channels: tuple[Channel, ...]
    fs_hz: float
    #: Length of a recording; None: a device, which goes on until it is stopped.
    n_samples: int | None

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
    ahead of the piece before, samples were lost; NaN is a missing one. A device's pieces come as it
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
    """A file, a stream or a board that cannot be read; the message says why and what to do."""


class MissingDriverError(SourceError):
    """The package that reads this kind of source is not installed."""

    def __init__(self, kind: str, extra: str) -> None:
        super().__init__(f"{kind} needs a driver: pip install 'pycwt-mod[{extra}]'")
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
    """

    def __init__(
        self,
        info: SourceInfo,
        read: Callable[[int, int], Samples],
        *,
        chunk_s: float,
        t0_ns: int | None = None,
        runs: Sequence[Run] | None = None,
    ) -> None:
        self._info = info
        self._read = read
        self._step = steps_of(chunk_s, info.fs_hz)
        self._t0_ns = t0_ns
        whole = Run(start=0, stop=info.n_samples or 0, first_sample=0)
        self._runs = [whole] if runs is None else runs

    @property
    def info(self) -> SourceInfo:
        """What there is."""
        return self._info

    async def __aiter__(self) -> AsyncIterator[Piece]:
        for run in self._runs:
            for start in range(run.start, run.stop, self._step):
                stop = min(start + self._step, run.stop)
                samples = await to_thread.run_sync(self._read, start, stop)
                first = run.first_sample + start - run.start
                yield Piece(first_sample=first, t0_ns=self._time_of(first), samples=samples)

    def _time_of(self, sample: int) -> int | None:
        if self._t0_ns is None:
            return None
        return self._t0_ns + round(sample / self._info.fs_hz * NS)


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


def places_of(wanted: tuple[str, ...], names: tuple[str, ...], whose: str) -> list[int]:
    """Return where the wanted channels are among those with these names."""
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SourceError(
            f"{whose} has no channel {', '.join(unknown)}; there are {', '.join(names)}"
        )
    return [names.index(name) for name in wanted]
