"""Unwrap the device's sample counter: the position of each chunk in its epoch.

The index of a chunk is its first sample, counted from the start of the epoch. Small devices count
in 8, 16, 24 or 32 bits and wrap to 0; some restart at 0 after a reset without a new epoch. So a
chunk whose index is behind the end of the stream is one of three:

=========  =====================================================================================
wrapped    its index plus 2**8, 2**16, 2**24 or 2**32 continues the stream
restarted  it continues the stream, but the counter restarted: an offset is added from here on
repeated   it is a duplicate, or arrives late
=========  =====================================================================================

Time stamps decide which, by a line through the last few. Without stamps, a counter has wrapped only
if the index continues at 0, or a little later, at the end of the counter's range. It has restarted
only if it begins at the epoch's first index with samples that differ from the epoch's first ones.

Once a counter has wrapped, each index is unwrapped to the position nearest to the end of the stream
or, after a longer loss, to the time stamp.

Positions are assigned on arrival, before reordering, since chunks are ordered by position.
"""

from __future__ import annotations

import hashlib
import statistics
from typing import NamedTuple

import numpy as np

from cwt_schemas.checkpoint import CounterState
from cwt_schemas.live import SignalChunk

__all__ = ["NO_COUNTERS", "Counter", "Counters"]

#: Ranges of counters.
MODULI = (2**8, 2**16, 2**24, 2**32)
#: Number of epochs whose counters are tracked: the current one and its neighbours.
COUNTERS = 4
#: Number of stamps whose median gives the time of a position: two of them may be wrong.
STAMPS = 5
#: Largest distance of a stamp that agrees with a position, in seconds, and in chunks.
NEAR_S = 0.25
NEAR_CHUNKS = 2
#: Fraction of its range that a counter without stamps may lose around its wrap. A narrow counter
#: may lose nothing there, since a repeated chunk would look the same.
UNSEEN_PART = 1 / 16
NARROW = 2**8
#: Number of samples at the start of an epoch whose digest is stored.
HEAD = 32
NANOSECONDS = 1_000_000_000


class Counter(NamedTuple):
    """The counter of one epoch after the chunks so far.

    A new value is created for each chunk, so this is a tuple, which is the fastest to copy.
    """

    epoch: str
    #: Position of the end of the stream, over all chunks.
    end: int
    #: Offset added to each index.
    offset: int = 0
    #: Offset before the last restart of the counter.
    offset_before: int | None = None
    #: Range of the counter, once it has wrapped.
    modulus: int | None = None
    #: Largest index since the last restart.
    top: int = 0
    #: Time of position 0 according to each of the last stamps, ns.
    origins_ns: tuple[int, ...] = ()
    #: End of a chunk that is too far ahead to move the end of the stream by itself.
    suspect_end: int | None = None
    #: End of the last duplicate or late chunk; a chunk that continues it is also one.
    repeated_to: int | None = None
    #: Index of the epoch's first sample, and a digest of the first few.
    first: int = 0
    head: str = ""
    head_samples: int = 0

    @classmethod
    def started(cls, chunk: SignalChunk, index: int, fs_hz: float) -> Counter:
        """Return the counter after the first chunk of an epoch."""
        known = min(chunk.n_samples, HEAD)
        counter = cls(
            epoch=chunk.epoch, end=index, first=index,
            head=_digest(chunk, known), head_samples=known,
        )  # fmt: skip
        return counter._moved(chunk, index, index, fs_hz)

    def follow(self, chunk: SignalChunk, index: int, fs_hz: float) -> tuple[Counter, int, bool]:
        """Return the counter after a chunk, the chunk's position, and whether it restarted."""
        if self.modulus is None and index + self.offset == self.end:
            return self._moved(chunk, index, self.end, fs_hz), self.end, False
        if self.modulus is not None and index >= self.modulus:
            return self._replace(modulus=None, offset=0).follow(chunk, index, fs_hz)
        by_time = self._by_time(chunk.t0_ns, fs_hz)
        near = max(NEAR_CHUNKS * chunk.n_samples, round(NEAR_S * fs_hz))
        if self.modulus is not None:
            position = self._unwrapped(index, by_time, near)
            return self._moved(chunk, index, position, fs_hz), position, False
        position = index + self.offset
        if self.offset_before is not None and position != self.end == index + self.offset_before:
            # The counter did not restart; a single index was wrong.
            counter = self._replace(offset=self.offset_before, offset_before=None)
            return counter._moved(chunk, index, self.end, fs_hz), self.end, False
        if position > self.end + near and position != self.suspect_end:
            # The index may be wrong: compare the next chunk with the previous end.
            return self._replace(suspect_end=position + chunk.n_samples), position, False
        if position < self.end and position != self.repeated_to and chunk.n_samples:
            modulus = self._wraps_at(chunk, position, by_time)
            if modulus is not None:
                counter, position = self._replace(modulus=modulus), position + modulus
                return counter._moved(chunk, index, position, fs_hz), position, False
            if position < self.end - 2 * near and self._restarts(chunk, index, position, by_time):
                then = self.end
                if by_time is not None and by_time > self.end + near:
                    then = by_time
                counter = self._replace(offset=then - index, offset_before=self.offset, top=index)
                return counter._moved(chunk, index, then, fs_hz), then, True
        if position + chunk.n_samples <= self.end:
            return self._replace(repeated_to=position + chunk.n_samples), position, False
        return self._moved(chunk, index, position, fs_hz), position, False

    def state(self) -> CounterState:
        """Return what a checkpoint keeps."""
        return CounterState(**self._asdict())

    def _wraps_at(self, chunk: SignalChunk, position: int, by_time: int | None) -> int | None:
        """Return the range at which the counter wrapped before this chunk, or None."""
        modulus = next((m for m in MODULI if self.top < m and position + m >= self.end), None)
        if modulus is None:
            return None
        lost = position + modulus - self.end
        if by_time is None:
            may_lose = 0 if modulus <= NARROW else UNSEEN_PART * modulus
            return modulus if lost <= may_lose and not self._repeats_start(chunk) else None
        off, off_if_repeated = abs(by_time - position - modulus), abs(by_time - position)
        timely = off <= chunk.n_samples + lost * UNSEEN_PART and 4 * off <= off_if_repeated
        return modulus if timely or (lost == 0 and off < off_if_repeated) else None

    def _restarts(self, chunk: SignalChunk, index: int, position: int, by_time: int | None) -> bool:
        """Return whether the counter restarted, for a chunk far behind the end of the stream."""
        if by_time is not None:
            return abs(by_time - self.end) < abs(by_time - position)
        known = chunk.n_samples >= self.head_samples > 0
        return index == self.first and known and not self._repeats_start(chunk)

    def _repeats_start(self, chunk: SignalChunk) -> bool:
        """Return whether a chunk begins with the first samples of the epoch."""
        return self.head == _digest(chunk, min(self.head_samples, chunk.n_samples))

    def _unwrapped(self, index: int, by_time: int | None, near: int) -> int:
        """Return the unwrapped position of an index."""
        modulus = self.modulus or 1
        base = index + self.offset
        # Exactly half a range behind counts as ahead.
        position = base + (self.end - base + modulus // 2) // modulus * modulus
        if by_time is None or position == self.end:
            return position
        timed = base + round((by_time - base) / modulus) * modulus
        return timed if abs(by_time - timed) <= min(near, modulus // 8) else position

    def _by_time(self, t0_ns: int | None, fs_hz: float) -> int | None:
        """Return the position according to a stamp, or None if there are no usable stamps."""
        if t0_ns is None or not self.origins_ns:
            return None
        return round((t0_ns - statistics.median_low(self.origins_ns)) * fs_hz / NANOSECONDS)

    def _moved(self, chunk: SignalChunk, index: int, position: int, fs_hz: float) -> Counter:
        origins = self.origins_ns
        if chunk.t0_ns is not None and position >= self.end:
            origin = chunk.t0_ns - round(position * NANOSECONDS / fs_hz)
            origins = (*origins[1 - STAMPS :], origin)
        return self._replace(
            end=max(self.end, position + chunk.n_samples),
            top=max(self.top, index),
            origins_ns=origins,
            suspect_end=None,
            repeated_to=None,
        )


class Counters:
    """The counters of the arriving epochs; immutable, `follow` returns the next value."""

    __slots__ = ("_counters",)

    def __init__(self, counters: tuple[Counter, ...] = ()) -> None:
        self._counters = counters

    @classmethod
    def from_states(cls, states: tuple[CounterState, ...]) -> Counters:
        """Return the counters stored in a checkpoint."""
        return cls(tuple(Counter(**state.model_dump()) for state in states))

    def states(self) -> tuple[CounterState, ...]:
        """Return what a checkpoint keeps."""
        return tuple(counter.state() for counter in self._counters)

    def follow(self, chunk: SignalChunk, fs_hz: float) -> tuple[Counters, SignalChunk, bool]:
        """Return the next counters, the chunk with its position, and whether its counter restarted.

        A chunk without an index is returned unchanged.
        """
        index = chunk.first_sample
        if index is None:
            return self, chunk, False
        own = next((each for each in self._counters if each.epoch == chunk.epoch), None)
        if own is None:
            counter, position, restarted = Counter.started(chunk, index, fs_hz), index, False
        else:
            counter, position, restarted = own.follow(chunk, index, fs_hz)
        if len(self._counters) == 1 and own is not None:
            counters = Counters((counter,))
        else:
            others = tuple(each for each in self._counters if each is not own)
            counters = Counters((*others, counter)[-COUNTERS:])
        if position != index:
            chunk = chunk.model_copy(update={"first_sample": position})
        return counters, chunk, restarted


NO_COUNTERS = Counters()


def _digest(chunk: SignalChunk, n: int) -> str:
    """Return a digest of the first `n` samples of a chunk."""
    first = np.ascontiguousarray(chunk.samples[:n], dtype="<f8")
    return hashlib.blake2b(first.tobytes(), digest_size=8).hexdigest()
