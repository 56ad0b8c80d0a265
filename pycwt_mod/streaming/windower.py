"""From samples as they come to the windows that results are computed from.

Each lane, which is one octave of one analysis, cuts the axis into tiles of its own length. All
lanes share one buffer, which holds what the windows to come still need and nothing more. Tile *i*
of length T covers the samples ``[i T, (i + 1) T)``. It can be computed as soon as its margin after
it has arrived as well; its window is the tile with a margin on either side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Lane(Protocol):
    """What a windower needs of an octave; a `pycwt_mod.OctaveLayout` has it."""

    @property
    def tile(self) -> int:
        """Samples by which windows advance."""

    @property
    def margin(self) -> int:
        """Samples needed on either side of a tile."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CutWindow:
    """One window of one lane.

    Attributes
    ----------
    lane : int
        Which of the windower's lanes.
    tile : Tile
    first : int
        Index of the first row of `samples`; at the ends of a signal a window may lack a part.
    samples : ndarray, shape (n, channels)
        A read-only view, valid until the windower takes more samples; NaN is missing.
    exact_dtype : dtype
        The narrowest one that holds `samples` without loss, by what the pieces came in.
    """

    lane: int
    tile: Tile
    first: int
    samples: NDArray[np.floating]
    exact_dtype: np.dtype[Any]


class Windower:
    """Takes samples in pieces of any size and hands out every window once, when it is complete.

    The windows depend only on the samples' indices, not on the pieces.

    Parameters
    ----------
    lanes
        What to cut.
    channels
        Number of channels.
    first
        Index of the first sample to come.
    dtype
        In which samples are held.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        channels: int,
        *,
        first: int = 0,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self._channels = channels
        self._dtype = dtype
        self._tilings = [Tiling(lane.tile, lane.margin) for lane in lanes]
        self._buffer = SampleBuffer(channels, first, dtype)

    @property
    def end(self) -> int:
        """Index one past the last sample taken."""
        return self._buffer.end

    @property
    def needed_from(self) -> int:
        """The first sample that a window to come will need; may be negative."""
        return min((tiling.needed_from for tiling in self._tilings), default=self.end)

    @property
    def next_tiles(self) -> tuple[int, ...]:
        """The number of the next tile of each lane; sample 0 begins tile 0."""
        return tuple(tiling.next_index for tiling in self._tilings)

    def held(self) -> tuple[int, NDArray[np.floating]]:
        """Return the samples held: where they begin, and a read-only view (n, channels)."""
        return self._buffer.view(self._buffer.first, self.end)

    def resume(self, next_tiles: Sequence[int]) -> None:
        """Continue with these tiles; the ones before were already returned."""
        for tiling, index in zip(self._tilings, next_tiles, strict=True):
            tiling.next_index = index

    def push(self, first: int, samples: NDArray[np.generic]) -> Iterator[CutWindow]:
        """Take `samples` (n, channels) from index `first` on; yield the windows they complete.

        What lies between `end` and `first` is missing. The samples are taken as soon as the
        first window is asked for; exhaust the iterator before the next call.

        Raises
        ------
        ValueError
            If `first` lies before `end`.
        """
        if not self._tilings:  # no lane uses the samples, nor what fills a gap before them
            self._buffer.check(first)
            self.restart(first + len(samples))
            return
        self._buffer.append(first, samples)
        for lane, tiling in enumerate(self._tilings):
            for tile in tiling.due(self.end):
                yield from self._cut(lane, tile)
        self._buffer.forget(self.needed_from)

    def flush(self) -> Iterator[CutWindow]:
        """Yield the windows of the tiles that have begun, with the samples there are."""
        for lane, tiling in enumerate(self._tilings):
            for tile in tiling.rest(self.end):
                yield from self._cut(lane, tile)

    def restart(self, first: int, *, keep_tiles: bool = False) -> None:
        """Forget all samples; the next one has index `first`.

        Unless `keep_tiles`, each lane continues with the tile that contains that sample.
        """
        self._buffer = SampleBuffer(self._channels, first, self._dtype)
        if not keep_tiles:
            for tiling in self._tilings:
                tiling.start_at(first)

    def _cut(self, lane: int, tile: Tile) -> Iterator[CutWindow]:
        first, samples = self._buffer.view(tile.window_first, tile.window_end)
        if len(samples):  # else nothing of it is held any more
            exact = self._buffer.exact_dtype(first, first + len(samples))
            yield CutWindow(lane=lane, tile=tile, first=first, samples=samples, exact_dtype=exact)


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


#: Capacity grows by this factor, so that appending is linear in the samples over the long run.
GROWTH = 2
#: Narrowest type that can hold the NaN of a gap.
GAP = np.dtype(np.float32)


class SampleBuffer:
    """A contiguous run of samples ``[first, end)`` of all channels; NaN is missing.

    Parameters
    ----------
    channels
        Number of channels.
    first
        Index of the first sample it will hold.
    dtype
        float64, or float32 for half the memory.
    """

    def __init__(self, channels: int, first: int = 0, dtype: DTypeLike = np.float64) -> None:
        self._store = np.empty((1024, channels), dtype=dtype)
        self._begin = 0
        self._length = 0
        #: Intervals of samples that arrived in one type: the end of each, and the type.
        self._came_in: deque[tuple[int, np.dtype[Any]]] = deque()
        self.first = first

    @property
    def end(self) -> int:
        """Index one past the last sample held."""
        return self.first + self._length

    def check(self, first: int) -> None:
        """Raise ValueError if samples from `first` on cannot be added."""
        if first < self.end:
            raise ValueError(f"{first=} must not be before the end, {self.end}")

    def append(self, first: int, samples: NDArray[np.generic]) -> None:
        """Add `samples` (n, channels) that begin at index `first`, at or after `end`.

        What lies between is missing.
        """
        self.check(first)
        gap = first - self.end
        total = self._length + gap + len(samples)
        self._reserve(total)
        at = self._begin + self._length
        self._store[at : at + gap] = np.nan
        self._store[at + gap : self._begin + total] = samples
        self._note(first, GAP)
        self._length = total
        self._note(self.end, samples.dtype)

    def view(self, first: int, end: int) -> tuple[int, NDArray[np.floating]]:
        """Return what is held of ``[first, end)``: where it begins, and (n, channels).

        The array is a read-only view, valid until the next `append`.
        """
        begin = min(max(first, self.first), self.end)
        stop = max(min(end, self.end), begin)
        offset = self._begin - self.first
        held = self._store[begin + offset : stop + offset]
        held.flags.writeable = False
        return begin, held

    def exact_dtype(self, first: int, end: int) -> np.dtype[Any]:
        """Return the narrowest type that holds ``[first, end)`` as it came, a gap as NaN."""
        dtypes, begin = [], self.first
        for stop, dtype in self._came_in:
            if begin < end and first < stop:
                dtypes.append(dtype)
            begin = stop
        return np.result_type(*dtypes) if dtypes else self._store.dtype

    def forget(self, before: int) -> None:
        """Drop the samples before index `before`."""
        drop = min(max(before - self.first, 0), self._length)
        self._begin += drop
        self._length -= drop
        self.first += drop
        while self._came_in and self._came_in[0][0] <= self.first:
            self._came_in.popleft()

    def _note(self, end: int, dtype: np.dtype[Any]) -> None:
        """Say that the samples up to `end` came in `dtype`."""
        held = self._came_in[-1][0] if self._came_in else self.first
        if end <= held:
            return
        if self._came_in and self._came_in[-1][1] == dtype:
            self._came_in.pop()
        self._came_in.append((end, dtype))

    def _reserve(self, total: int) -> None:
        if self._begin + total <= len(self._store):
            return
        held = self._store[self._begin : self._begin + self._length]
        if total * GROWTH > len(self._store):
            grown = np.empty((total * GROWTH, self._store.shape[1]), dtype=self._store.dtype)
            grown[: self._length] = held
            self._store = grown
        else:
            self._store[: self._length] = held.copy()
        self._begin = 0
