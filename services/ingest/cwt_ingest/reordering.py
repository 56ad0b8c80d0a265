"""Reorder chunks that arrive before the chunks that precede them.

A publisher has several chunks in flight and retries those that are not acknowledged, so chunks
reach the log out of order. Each chunk waits here for the samples before it. Waiting ends by a rule
on the content of the log, so reading the log again gives the same order:

    more than ``WAITING_CHUNKS`` chunks wait, and
    the last of their samples is more than ``reorder_s`` after the first missing one

When the log is quiet, `release` ends the wait; the caller records that.

An epoch begins with sample 0. A chunk of a new epoch waits for the rest of the current epoch, until
its final chunk, and for the first sample of its own. The wait ends when more than
``WAITING_CHUNKS`` chunks of later epochs have arrived and the current one has stopped.

A single wrong bit in an index or epoch must not block the stream. After ``WAITING_CHUNKS`` later
chunks, a chunk that is further ahead than any window is passed on to `confirmation`, and one of
another epoch is a stray if the current epoch continued.

A chunk without an index, and one of an ended epoch, is passed on immediately.
"""

from __future__ import annotations

from dataclasses import dataclass

from cwt_ingest.accounting import Position
from cwt_ingest.counter import NO_COUNTERS, Counters
from cwt_schemas.live import SignalChunk

__all__ = ["Arrival", "Reordering", "Turn"]

#: Number of later chunks after which a missing one is considered lost.
WAITING_CHUNKS = 12


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A chunk and its place in the log."""

    seq: int
    chunk: SignalChunk
    #: The device's counters before the chunk.
    counters: Counters = NO_COUNTERS

    @property
    def order(self) -> tuple[int, int]:
        """Its place in its epoch."""
        return (self.chunk.first_sample or 0, self.seq)

    @property
    def end(self) -> int:
        """Index one past its last sample."""
        return (self.chunk.first_sample or 0) + self.chunk.n_samples


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The chunk whose turn it is."""

    arrival: Arrival
    #: Whether it names an epoch that did not begin, since the current one continued.
    stray: bool = False


class Reordering:
    """The chunks that wait.

    Parameters
    ----------
    patience
        Number of later samples after which a missing one is considered lost; 0 to never wait.
    max_gap
        Distance, in samples, beyond which an index needs confirmation.
    """

    def __init__(self, patience: int, max_gap: int) -> None:
        self._patience = patience
        self._max_gap = max_gap
        self._waiting: list[Arrival] = []
        #: Epochs of the chunks that arrived since the oldest waiting one, which is included.
        self._since: list[tuple[int, str]] = []
        self._released = False

    @property
    def waiting(self) -> tuple[Arrival, ...]:
        """The chunks that wait."""
        return tuple(self._waiting)

    @property
    def longest(self) -> int:
        """Length of the longest waiting chunk, in samples; 0 if there is none."""
        return max((arrival.chunk.n_samples for arrival in self._waiting), default=0)

    def add(self, arrival: Arrival) -> None:
        """Add a chunk; `pop` returns the next one in order."""
        self._waiting.append(arrival)
        self._since.append((arrival.seq, arrival.chunk.epoch))
        self._released = False

    def release(self) -> None:
        """Stop waiting; all chunks become available in order."""
        self._released = True

    def pop(self, position: Position) -> Turn | None:
        """Return the next chunk at `position`, or None if all chunks must wait."""
        turn = self._turn(position)
        if turn is not None:
            self._waiting.remove(turn.arrival)
        oldest = min((each.seq for each in self._waiting), default=None)
        self._since = [each for each in self._since if oldest is not None and each[0] >= oldest]
        return turn

    def _turn(self, position: Position) -> Turn | None:
        for arrival in self._waiting:
            if arrival.chunk.first_sample is None or arrival.chunk.epoch in position.ended:
                return Turn(arrival=arrival)
            if self._is_stray(arrival, position):
                return Turn(arrival=arrival, stray=True)
        present = [each for each in self._waiting if each.chunk.epoch == position.epoch]
        first = min(present, key=lambda each: each.order, default=None)
        if first is not None and self._is_due(first, present, position):
            return Turn(arrival=first)
        chosen = self._of_next_epoch(position, first)
        return None if chosen is None else Turn(arrival=chosen)

    def _is_due(self, first: Arrival, present: list[Arrival], position: Position) -> bool:
        """Return whether the first waiting chunk of the current epoch is due."""
        ahead = first.order[0] - position.expected
        far = ahead > self._max_gap and self._came_after(first) > WAITING_CHUNKS
        return ahead <= 0 or far or self._is_over(present, position.expected)

    def _of_next_epoch(self, position: Position, left: Arrival | None) -> Arrival | None:
        """Return the next chunk if a new epoch may begin; `left` waits in the current one."""
        others = [each for each in self._waiting if each.chunk.epoch != position.epoch]
        if not others:
            return None
        group = [each for each in others if each.chunk.epoch == others[0].chunk.epoch]
        first = min(group, key=lambda each: each.order)
        over = self._is_over(group, first.order[0]) or self._is_succeeded(others[0], position)
        if position.epoch is None or position.epoch in position.ended:
            return first if over or first.order[0] == 0 else None
        return (left or first) if over else None

    def _is_over(self, group: list[Arrival], missing: int) -> bool:
        """Return whether the chunks of `group` have waited long enough for sample `missing`."""
        if self._released or not self._patience:
            return True
        reach = max(arrival.end for arrival in group) - missing
        return len(group) > WAITING_CHUNKS and reach > self._patience

    def _is_succeeded(self, oldest: Arrival, position: Position) -> bool:
        """Return whether later epochs have arrived while the current one stopped.

        A device that keeps restarting ends each epoch before it has waited long enough.
        """
        present = 0 if position.epoch is None else self._came_after(oldest, position.epoch)
        own = self._came_after(oldest, oldest.chunk.epoch)
        return self._came_after(oldest) - own - present > WAITING_CHUNKS + 2 * present

    def _is_stray(self, arrival: Arrival, position: Position) -> bool:
        if not self._patience or position.epoch in (None, arrival.chunk.epoch):
            return False
        return (
            position.epoch not in position.ended
            and self._came_after(arrival, position.epoch) > WAITING_CHUNKS
        )

    def _came_after(self, arrival: Arrival, epoch: str | None = None) -> int:
        """Return how many chunks arrived after one, of `epoch` or of any epoch."""
        return sum(seq > arrival.seq and epoch in (None, own) for seq, own in self._since)
