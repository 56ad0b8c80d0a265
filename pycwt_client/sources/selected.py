"""Some channels of a source, in the order asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from pycwt_client.chunks import Piece
from pycwt_client.signals import Samples
from pycwt_client.sources.errors import SourceError
from pycwt_client.sources.source import Signals, Source, SourceInfo

__all__ = ["Selected", "places_of"]


def places_of(wanted: tuple[str, ...], names: tuple[str, ...], whose: str) -> list[int]:
    """Return where the wanted channels are among those with these names."""
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SourceError(
            f"{whose} has no channel {', '.join(unknown)}; there are {', '.join(names)}"
        )
    return [names.index(name) for name in wanted]


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
