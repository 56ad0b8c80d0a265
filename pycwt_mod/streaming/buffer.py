"""The samples of one signal that windows still need."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["SampleBuffer"]

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
        #: Stretches of samples that came in one type: where each one ends, and the type.
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
