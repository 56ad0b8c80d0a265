"""Which question is computed next, and which one is refused.

Two queues, each with threads of its own, so that a question of milliseconds never waits for one of
half a minute. Within a queue the next one is the one with the smallest `arrival + PATIENCE * cost`:
cheap questions overtake dear ones, but only those that came not much earlier, so none waits for
ever. What waits is bounded by its cost, and what does not fit is refused at once, with a time after
which it probably would. All of it runs on the event loop.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from schemas.errors import Overloaded
from schemas.subjects import job

__all__ = ["QUICK_S", "Admission"]

#: Estimated cost up to which a question goes into the quick queue.
QUICK_S = 0.2
#: Seconds that a question lets others overtake, per second of its own cost.
PATIENCE = 2.0
#: Questions that wait in a queue; each holds a request of up to 8 MiB.
MAX_WAITING = 64
#: From this cost on a refusal names the jobs: they wait as long as it takes.
LONG_S = 2.0
#: No use in being asked again sooner.
LEAST_RETRY_S = 0.1


@dataclass(order=True)
class QueuedQuery:
    """A question in a queue; ordered by whose turn is next."""

    rank: float
    number: int
    cost_s: float = field(compare=False)
    turn: anyio.Event = field(default_factory=anyio.Event, compare=False)


class AdmissionQueue:
    """Questions of one kind of length: so many computed at once, the others in order.

    Parameters
    ----------
    threads
        Questions computed at the same time.
    backlog_s
        Estimated seconds that the last in the queue waits at most.
    """

    def __init__(self, threads: int, backlog_s: float) -> None:
        self._threads = threads
        self._backlog_s = backlog_s
        self._running = 0
        self._waiting: list[QueuedQuery] = []
        self._numbers = itertools.count()
        #: Estimated seconds of one core, of what runs and of what waits.
        self.load_s = 0.0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, cost_s: float) -> AsyncIterator[None]:
        """Wait for a thread and have it while the context is open.

        Raises
        ------
        Overloaded
            Too much waits already; the detail says when to try again.
        """
        query = self.enter(cost_s, anyio.current_time())
        try:
            await query.turn.wait()
            yield
        finally:
            self.leave(query)

    def enter(self, cost_s: float, now: float) -> QueuedQuery:
        """Queue up; the query's `turn` is set when there is a thread."""
        full = self.waiting >= MAX_WAITING
        if self._running and (full or self.load_s + cost_s > self._backlog_s * self._threads):
            raise self._refusal(cost_s, full=full)
        query = QueuedQuery(now + PATIENCE * cost_s, next(self._numbers), cost_s)
        self.load_s += cost_s
        heapq.heappush(self._waiting, query)
        self._start_next()
        return query

    def leave(self, query: QueuedQuery) -> None:
        """Give the thread, or the place in the queue, to the next one."""
        self.load_s = max(0.0, self.load_s - query.cost_s)
        if query.turn.is_set():
            self._running -= 1
        else:  # nobody waits for the answer any more
            self._waiting.remove(query)
            heapq.heapify(self._waiting)
        self._start_next()

    def _start_next(self) -> None:
        while self._waiting and self._running < self._threads:
            self._running += 1
            heapq.heappop(self._waiting).turn.set()

    def _refusal(self, cost_s: float, *, full: bool) -> Overloaded:
        room_s = self.load_s / (self.waiting + self._running) if full else 0.0
        over_s = max(self.load_s + cost_s - self._backlog_s * self._threads, room_s)
        retry_s = max(round(min(over_s, self.load_s) / self._threads, 1), LEAST_RETRY_S)
        advice = f"try again in {retry_s:g} s, or start more workers"
        detail: dict[str, str | float] = {"retry_after_s": retry_s, "cost_s": round(cost_s, 3)}
        if cost_s > LONG_S:
            advice += f"; {job('submit')} takes work of this length, and waits as long as it takes"
            detail["subject"] = job("submit")
        return Overloaded(
            f"{self.waiting} questions wait already, about {self.load_s:.3g} s of work: {advice}",
            dict(detail),
        )


class Admission:
    """The two queues of a worker.

    Parameters
    ----------
    threads
        Of each queue.
    backlog_s
        Of each queue, see `AdmissionQueue`.
    """

    def __init__(self, threads: int, backlog_s: float) -> None:
        self._quick = AdmissionQueue(threads, backlog_s)
        self._slow = AdmissionQueue(threads, backlog_s)

    def queue(self, cost_s: float) -> AdmissionQueue:
        """Return where a question of this cost goes."""
        return self._quick if cost_s <= QUICK_S else self._slow

    @asynccontextmanager
    async def turn(self, cost_s: float) -> AsyncIterator[None]:
        """Wait for a thread and have it while the context is open; see `AdmissionQueue.turn`."""
        async with self.queue(cost_s).turn(cost_s):
            yield
