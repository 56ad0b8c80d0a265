"""The device's counter, unwrapped: the position that each chunk's index stands for.

An index says where a chunk begins, counted from the start of the epoch. Small devices count in 8,
16, 24 or 32 bits and start again at 0; some start again because they were reset, under the epoch
that they had. A chunk that begins before the samples that came already is therefore one of three:

=========  =====================================================================================
wrapped    its index plus 2**8, 2**16, 2**24 or 2**32 continues the stream
restarted  it continues the stream, though its index does not: the samples count on from here
repeated   it came before, or comes late
=========  =====================================================================================

Its time stamp decides, by the line through the last few. Without stamps it has wrapped only if the
index goes on at 0 where the width of the counter ends, or a little later. It has restarted only if
it begins at the epoch's first index with other samples than the epoch did.

A counter that has wrapped once is expected to do so again, and each index is the one of its
multiples that is nearest to the end of the stream, or to the time stamp after a longer loss.

Positions are decided as chunks arrive, before they are put in order, since the order is that of the
positions.
"""

from __future__ import annotations

import hashlib
import statistics
from typing import NamedTuple

import numpy as np

from cwt_schemas.checkpoint import CounterState
from cwt_schemas.live import SignalChunk

__all__ = ["NO_COUNTERS", "Counter", "Counters"]

#: Where counters wrap.
MODULI = (2**8, 2**16, 2**24, 2**32)
#: Epochs whose counters are followed at a time: the present one, and those around it.
COUNTERS = 4
#: Stamps of which the median tells the time of a position: two of them may be wrong.
STAMPS = 5
#: A stamp agrees with a position this near, in seconds, and in chunks.
NEAR_S = 0.25
NEAR_CHUNKS = 2
#: Without stamps, a counter that wraps may lose this part of its range around there, and a narrow
#: one nothing: a repeated chunk would look the same.
UNSEEN_PART = 1 / 16
NARROW = 2**8
#: Samples from the start of the epoch that are remembered, as a digest.
HEAD = 32
NANOSECONDS = 1_000_000_000


class Counter(NamedTuple):
    """The counter of one epoch, after the chunks that arrived so far.

    There is another one for each chunk, so it is of the kind that is copied fastest.
    """

    epoch: str
    #: Position of the end of the stream, over all chunks.
    end: int
    #: What is added to an index.
    offset: int = 0
    #: What was added before the counter last restarted.
    offset_before: int | None = None
    #: Where the counter wraps, once it has.
    modulus: int | None = None
    #: Largest index of the present numbering.
    top: int = 0
    #: When position 0 was, by each of the last stamps, ns.
    origins_ns: tuple[int, ...] = ()
    #: Where a chunk ended that is too far ahead to move the end on its own.
    suspect_end: int | None = None
    #: Where the last chunk ended that came twice or late: what continues it does so as well.
    repeated_to: int | None = None
    #: Index of the first sample of the epoch, and a digest of the first few.
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
        """Return the counter after one more chunk, the chunk's position, and if it restarted."""
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
            # It was not the counter that restarted, but one index that was wrong.
            counter = self._replace(offset=self.offset_before, offset_before=None)
            return counter._moved(chunk, index, self.end, fs_hz), self.end, False
        if position > self.end + near and position != self.suspect_end:
            # Perhaps a wrong index: what comes next is compared with the end before it.
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
        """Return where the counter has wrapped before this chunk, None if it has not."""
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
        """Return whether the counter began again, for a chunk far behind the end of the stream."""
        if by_time is not None:
            return abs(by_time - self.end) < abs(by_time - position)
        known = chunk.n_samples >= self.head_samples > 0
        return index == self.first and known and not self._repeats_start(chunk)

    def _repeats_start(self, chunk: SignalChunk) -> bool:
        """Return whether a chunk begins with the samples that the epoch began with."""
        return self.head == _digest(chunk, min(self.head_samples, chunk.n_samples))

    def _unwrapped(self, index: int, by_time: int | None, near: int) -> int:
        """Return the position of an index of a counter that wraps."""
        modulus = self.modulus or 1
        base = index + self.offset
        # Exactly half a range behind counts as ahead.
        position = base + (self.end - base + modulus // 2) // modulus * modulus
        if by_time is None or position == self.end:
            return position
        timed = base + round((by_time - base) / modulus) * modulus
        return timed if abs(by_time - timed) <= min(near, modulus // 8) else position

    def _by_time(self, t0_ns: int | None, fs_hz: float) -> int | None:
        """Return the position that a stamp says, None where stamps say nothing."""
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
    """The counters of the epochs that are arriving; a value: `follow` returns the next one."""

    __slots__ = ("_counters",)

    def __init__(self, counters: tuple[Counter, ...] = ()) -> None:
        self._counters = counters

    @classmethod
    def from_states(cls, states: tuple[CounterState, ...]) -> Counters:
        """Return the counters that a checkpoint keeps."""
        return cls(tuple(Counter(**state.model_dump()) for state in states))

    def states(self) -> tuple[CounterState, ...]:
        """Return what a checkpoint keeps."""
        return tuple(counter.state() for counter in self._counters)

    def follow(self, chunk: SignalChunk, fs_hz: float) -> tuple[Counters, SignalChunk, bool]:
        """Return the next counters, the chunk at its position, and whether its counter restarted.

        A chunk without index stays as it is.
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
