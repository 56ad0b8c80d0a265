"""Chunks that wait until later ones confirm where they belong.

Two claims of a single chunk are not accepted immediately, since one wrong bit would shift or drop
everything after it:

- an index further ahead than any window. The chunk waits for the next one, which continues it or
  does not. A time stamp that agrees with the index confirms it immediately.
- a time stamp that says, where there is no index, that samples were lost. The chunks wait until
  ``STEP_STAMPS`` of them agree and have lasted for half of the loss, at most ``STEP_HOLD_S``; or
  until the stamps come back to the line, which nothing was lost before.

Decisions depend only on the chunks, so reading the log again gives the same ones.
"""

from __future__ import annotations

import statistics
from typing import NamedTuple

from cwt_ingest.accounting import Position
from cwt_ingest.clock import PRIOR_DRIFT, STEP_HOLD_S, STEP_STAMPS, Clock, hold_s
from cwt_ingest.reordering import Arrival

__all__ = ["Confirmation", "Placed"]

#: Multiple of the longest hold after which chunks whose stamps never agree are released.
GIVE_UP_HOLDS = 2
#: Number of stamps that is sufficient once they have lasted for the longest hold.
SLOW_STAMPS = 2


class Placed(NamedTuple):
    """A chunk with its confirmed position."""

    arrival: Arrival
    #: Samples lost before it, for a chunk without index.
    late: int = 0
    #: Whether a long gap before the chunk is confirmed.
    confirmed: bool = False
    #: Reason for which its index is rejected, or None.
    refusal: str | None = None


class Confirmation:
    """The chunks that wait for confirmation, all of one epoch.

    Parameters
    ----------
    fs_hz
        Samples per second.
    max_gap
        Longest gap, in samples, that needs no confirmation.
    max_samples
        Maximum number of waiting samples.
    """

    def __init__(self, fs_hz: float, max_gap: int, max_samples: int) -> None:
        self._fs_hz = fs_hz
        self._max_gap = max_gap
        self._max_samples = max_samples
        self._waiting: list[Arrival] = []

    @property
    def waiting(self) -> tuple[Arrival, ...]:
        """The waiting chunks."""
        return tuple(self._waiting)

    def take(self, arrival: Arrival, position: Position, clock: Clock | None) -> list[Placed]:
        """Add a chunk; return the chunks that it confirms, in order."""
        if arrival.chunk.epoch in position.ended:
            return [Placed(arrival=arrival)]
        if self._waiting and not self._is_like(arrival):
            return [*self.give_up(position, clock), *self.take(arrival, position, clock)]
        if arrival.chunk.epoch != position.epoch:
            return [Placed(arrival=arrival)]
        if arrival.chunk.first_sample is None:
            return self._by_stamps(arrival, position, clock)
        return self._by_index(arrival, position, clock)

    def give_up(self, position: Position, clock: Clock | None) -> list[Placed]:
        """Decide all waiting chunks with what is known, since their epoch has ended."""
        waiting, self._waiting = self._waiting, []
        if waiting and waiting[0].chunk.first_sample is not None:
            return [self._refused(arrival, position) for arrival in waiting]
        if clock is None:
            return [Placed(arrival=arrival) for arrival in waiting]
        late_s = _late_s(waiting, position.expected, clock)
        run = _agreeing(late_s, clock.lost_tolerance_s(_longest(waiting)))
        return self._with_losses(waiting, late_s, run if len(run) >= SLOW_STAMPS else [], clock)

    def _is_like(self, arrival: Arrival) -> bool:
        first, chunk = self._waiting[0].chunk, arrival.chunk
        same = (first.first_sample is None) == (chunk.first_sample is None)
        return same and first.epoch == chunk.epoch

    def _by_index(self, arrival: Arrival, position: Position, clock: Clock | None) -> list[Placed]:
        waiting, self._waiting = self._waiting, []
        first = arrival.chunk.first_sample or 0
        if waiting and first == waiting[0].end:
            return [Placed(arrival=waiting[0], confirmed=True), Placed(arrival=arrival)]
        settled = [self._refused(each, position) for each in waiting]
        if first - position.expected <= self._max_gap:
            return [*settled, Placed(arrival=arrival)]
        if _agrees(arrival, position, clock):
            return [*settled, Placed(arrival=arrival, confirmed=True)]
        self._waiting = [arrival]
        return settled

    def _by_stamps(self, arrival: Arrival, position: Position, clock: Clock | None) -> list[Placed]:
        chunk = arrival.chunk
        if clock is None or (chunk.t0_ns is None and not self._waiting):
            return [Placed(arrival=arrival)]
        if not self._waiting and not clock.lost_before(
            position.expected, chunk.t0_ns or 0, chunk.n_samples
        ):
            return [Placed(arrival=arrival)]
        self._waiting.append(arrival)
        waiting = self._waiting
        late_s = _late_s(waiting, position.expected, clock)
        tolerance_s = clock.lost_tolerance_s(_longest(waiting))
        run, newest_s = _agreeing(late_s, tolerance_s), late_s[-1]
        if newest_s is None:
            return self._unless_too_many(clock)
        if abs(newest_s) <= tolerance_s:
            return self._settled([], clock, late_s)
        lasted_s = sum(waiting[i].chunk.n_samples for i in run) / self._fs_hz
        enough = STEP_STAMPS if lasted_s < STEP_HOLD_S else SLOW_STAMPS
        if newest_s > 0 and len(run) >= enough and lasted_s >= hold_s(newest_s):
            return self._settled(run, clock, late_s)
        return self._unless_too_many(clock)

    def _unless_too_many(self, clock: Clock) -> list[Placed]:
        """Keep waiting, unless the limit shows that the stamps cannot be trusted."""
        n = sum(arrival.chunk.n_samples for arrival in self._waiting)
        most = min(GIVE_UP_HOLDS * STEP_HOLD_S * self._fs_hz, self._max_samples)
        if len(self._waiting) <= STEP_STAMPS or n <= most:
            return []
        return self._settled([], clock, [None] * len(self._waiting))

    def _settled(self, run: list[int], clock: Clock, late_s: list[float | None]) -> list[Placed]:
        waiting, self._waiting = self._waiting, []
        return self._with_losses(waiting, late_s, run, clock)

    def _with_losses(
        self, waiting: list[Arrival], late_s: list[float | None], run: list[int], clock: Clock
    ) -> list[Placed]:
        """Return the chunks with the losses that the stamps of `run`, the last ones, confirm.

        Samples may have been lost between the earlier ones as well: each is as late as its stamp
        says, but no later than those after it, since nothing comes back that was lost.
        """
        if not run:
            return [Placed(arrival=arrival) for arrival in waiting]
        tolerance_s = clock.lost_tolerance_s(_longest(waiting))
        level_s = statistics.median(late for i in run if (late := late_s[i]) is not None)
        levels = [level_s] * len(waiting)
        for i in reversed(range(run[0])):
            own = late_s[i]
            earlier = own is not None and -tolerance_s < own < levels[i + 1] - tolerance_s
            levels[i] = max(own, 0.0) if earlier and own is not None else levels[i + 1]
        lost = [0, *(clock.samples_in(level) for level in levels)]
        return [
            Placed(arrival=arrival, late=late - before, confirmed=True)
            for arrival, before, late in zip(waiting, lost, lost[1:], strict=False)
        ]

    def _refused(self, arrival: Arrival, position: Position) -> Placed:
        first = arrival.chunk.first_sample or 0
        reason = (
            f"sample {first} is {first - position.expected} ahead of the expected one; a gap of "
            f"more than {self._max_gap} is accepted only when a second chunk confirms it"
        )
        return Placed(arrival=arrival, refusal=reason)


def _agrees(arrival: Arrival, position: Position, clock: Clock | None) -> bool:
    """Return whether the time stamp of a chunk confirms its index."""
    first, t_ns = arrival.chunk.first_sample or 0, arrival.chunk.t0_ns
    if clock is None or t_ns is None or not clock.is_learned:
        return False
    gap_s = (first - position.expected) / clock.fs_hz
    return abs(clock.late_s(first, t_ns)) <= clock.tolerance_s + PRIOR_DRIFT * gap_s


def _late_s(waiting: list[Arrival], expected: int, clock: Clock) -> list[float | None]:
    """Return how late each stamp is if no samples were lost, None where there is no stamp."""
    late_s: list[float | None] = []
    for arrival in waiting:
        t_ns = arrival.chunk.t0_ns
        late_s.append(None if t_ns is None else clock.late_s(expected, t_ns))
        expected += arrival.chunk.n_samples
    return late_s


def _agreeing(late_s: list[float | None], tolerance_s: float) -> list[int]:
    """Return which of the last stamps agree with the newest one, in a row."""
    run: list[int] = []
    newest = next((late for late in reversed(late_s) if late is not None), None)
    for i in reversed(range(len(late_s))):
        late = late_s[i]
        if late is None or newest is None:
            continue
        if abs(late - newest) > tolerance_s:
            break
        run.insert(0, i)
    return run


def _longest(waiting: list[Arrival]) -> int:
    return max((arrival.chunk.n_samples for arrival in waiting), default=0)
