"""Which windows of an octave are complete.

The time axis of an epoch is cut into tiles of equal length, tile *i* covering the samples
``[i T, (i + 1) T)``. A tile can be computed as soon as its margin after it has arrived as well; its
window is the tile with a margin on either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Tile", "Tiling"]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One tile and the window it is computed from, in samples."""

    first: int
    n: int
    window_first: int
    window_end: int


@dataclass
class Tiling:
    """The progress of one octave: `next_index` is the first tile not yet handed out."""

    tile: int
    margin: int
    next_index: int = 0

    def start_at(self, first: int) -> None:
        """Begin with the tile that holds sample `first`."""
        self.next_index = first // self.tile

    @property
    def needed_from(self) -> int:
        """The first sample that a window to come will need; may be negative."""
        return self.next_index * self.tile - self.margin

    def due(self, end: int) -> Iterator[Tile]:
        """Hand out, once each, the tiles that the samples before `end` complete."""
        while (self.next_index + 1) * self.tile + self.margin <= end:
            yield self._take()

    def rest(self, end: int) -> Iterator[Tile]:
        """Hand out the tiles that have begun before `end`: nothing will complete them."""
        while self.next_index * self.tile < end:
            yield self._take()

    def _take(self) -> Tile:
        first = self.next_index * self.tile
        self.next_index += 1
        return Tile(
            first=first,
            n=self.tile,
            window_first=first - self.margin,
            window_end=first + self.tile + self.margin,
        )
