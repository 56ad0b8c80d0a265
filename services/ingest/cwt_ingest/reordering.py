"""Chunks that came before their turn, until what is missing before them has come.

A publisher keeps several chunks on their way, and sends again what was not acknowledged; so chunks
reach the log out of order. Here each waits until the samples before it are there, and is given up
waiting for by what the log holds alone, so that reading the log again decides the same:

    the chunks that wait are more than ``WAITING_CHUNKS``, and
    the last of their samples is more than ``reorder_s`` behind the first missing one

What waits when the log goes quiet is let go by `release`, which the caller writes down.

An epoch begins with sample 0. A chunk of a new epoch waits in the same way: for the rest of the
present epoch, unless that has had its final chunk, and for its own first sample. It waits no longer
when more than ``WAITING_CHUNKS`` of still later epochs have come and the present one has ceased.

One wrong bit in an index or a name must not hold anything up: when more than ``WAITING_CHUNKS``
have come after it, a chunk that is further ahead than any window goes on, to be believed if another
continues it (`confirmation`); and one of another epoch, while the present one went on, is a stray.

Nothing waits that would not gain by it: a chunk without index goes where it comes; one of an epoch
that has ended is for the account to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

from cwt_ingest.accounting import Position
from cwt_ingest.counter import NO_COUNTERS, Counters
from cwt_schemas.live import SignalChunk

__all__ = ["Arrival", "Reordering", "Turn"]

#: As many later chunks may come before one is taken for lost.
WAITING_CHUNKS = 12


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A chunk, and its place in the log."""

    seq: int
    chunk: SignalChunk
    #: The device's counters before it.
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
    #: It names an epoch that did not begin: the present one went on.
    stray: bool = False


class Reordering:
    """The chunks that wait.

    Parameters
    ----------
    patience
        Samples behind which a missing one is given up, 0 to wait for none.
    max_gap
        What is further ahead than so many samples is hardly believed.
    """

    def __init__(self, patience: int, max_gap: int) -> None:
        self._patience = patience
        self._max_gap = max_gap
        self._waiting: list[Arrival] = []
        #: Epochs of the chunks that came since the oldest one that waits, itself included.
        self._since: list[tuple[int, str]] = []
        self._released = False

    @property
    def waiting(self) -> tuple[Arrival, ...]:
        """The chunks that wait."""
        return tuple(self._waiting)

    @property
    def longest(self) -> int:
        """Length of the longest chunk that waits, in samples; 0 where none does."""
        return max((arrival.chunk.n_samples for arrival in self._waiting), default=0)

    def add(self, arrival: Arrival) -> None:
        """Take a chunk; `pop` says whose turn it is."""
        self._waiting.append(arrival)
        self._since.append((arrival.seq, arrival.chunk.epoch))
        self._released = False

    def release(self) -> None:
        """Let go of all that waits now, in order."""
        self._released = True

    def pop(self, position: Position) -> Turn | None:
        """Hand out the chunk whose turn it is at `position`, None if all that is here waits."""
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
        """Return whether the first chunk that waits in the present epoch goes now."""
        ahead = first.order[0] - position.expected
        far = ahead > self._max_gap and self._came_after(first) > WAITING_CHUNKS
        return ahead <= 0 or far or self._is_over(present, position.expected)

    def _of_next_epoch(self, position: Position, left: Arrival | None) -> Arrival | None:
        """Return what goes next when there may be a new epoch; `left` waits in the present one."""
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
        """Return whether later epochs came while the present one did not go on.

        A device that restarts over and over ends each epoch before it has waited long enough.
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
        """Return how many chunks came after one, of `epoch` or of any."""
        return sum(seq > arrival.seq and epoch in (None, own) for seq, own in self._since)
