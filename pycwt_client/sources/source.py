"""What samples come from: a device, or what a device once recorded.

A `Source` says where; opening it gives `Signals`: what there is, and an iteration over its pieces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from pycwt_client.chunks import Piece
from schemas.stream import Channel

__all__ = ["CHUNK_S", "LIVE_CHUNK_S", "Signals", "Source", "SourceInfo"]

#: Seconds in one piece of a recording, unless somebody says else.
CHUNK_S = 0.2
#: Of a device: results wait for it.
LIVE_CHUNK_S = 0.02


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
