"""Execute a query: look it up in the cache, admit it, compute it off the event loop, cache it.

Equal queries that arrive at the same time are computed once: the later ones wait for the reply to
the first. If there is none, because the first was refused, failed or was cancelled, the next of
them takes its place, so no client receives the error of another.

Admission has two queues, each with threads of its own, so that a query of milliseconds never waits
for one of half a minute. Within a queue the next one is the one with the smallest
`arrival + PATIENCE * cost`: cheap queries overtake expensive ones, but only those that came not
much earlier, so none waits for ever. What waits is bounded by its cost, and what does not fit is
refused at once, with a time after which it probably would.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from schemas.errors import Overloaded
from schemas.message import Message
from schemas.subjects import job
from services.compute.queries.cache import ReplyCache, reply_key
from services.compute.queries.cost import cost_s, reply_bytes, should_cache, should_coalesce
from services.runtime.telemetry import metrics

__all__ = ["Admission", "AdmissionQueue", "QueryExecutor"]

Reply = TypeVar("Reply", bound=Message)

#: Estimated cost up to which a query goes into the quick queue.
QUICK_S = 0.2
#: Seconds that a query lets others overtake, per second of its own cost.
PATIENCE = 2.0
#: Queries that wait in a queue; each holds a request of up to 8 MiB.
MAX_WAITING = 64
#: From this cost on a refusal names the jobs: they wait as long as it takes.
LONG_S = 2.0
#: No use in being asked again sooner.
LEAST_RETRY_S = 0.1


class QueryExecutor:
    """Answers by computing, at most as much concurrently as was admitted.

    A query that is answered from the cache, or from the answer of an equal one, waits for no
    thread.
    """

    def __init__(self, admission: Admission, cache: ReplyCache) -> None:
        self._admission = admission
        # The admission queues limit the number; this keeps queries out of the budget that others
        # share.
        self._threads = anyio.CapacityLimiter(math.inf)
        self._cache = cache
        self._pending: dict[str, _Pending] = {}

    async def execute(
        self, request: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        """Return the answer: from the cache, of an equal query, or computed.

        Raises
        ------
        ContractError
            The query is refused, for what it is or for what waits already.
        """
        if not should_coalesce(request):
            return await self._computed(request, compute)
        key = await anyio.to_thread.run_sync(reply_key, request)
        while (first := self._pending.get(key)) is not None:
            await first.settled.wait()
            if isinstance(first.reply, reply):
                return _cached(first.reply)
        return await self._as_first(key, request, compute, reply)

    async def _as_first(
        self, key: str, request: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        mine = self._pending[key] = _Pending()
        try:
            found = await self._cached_or_computed(key, request, compute, reply)
            mine.reply = found
            return found
        finally:
            del self._pending[key]
            mine.settled.set()

    async def _cached_or_computed(
        self, key: str, request: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        if not should_cache(request):
            return await self._computed(request, compute)
        found = await self._cache.get(key, reply, about_bytes=reply_bytes(request))
        if found is not None:
            return _cached(found)
        fresh = await self._computed(request, compute)
        await self._cache.put(key, fresh)
        return fresh

    async def _computed(self, request: Message, compute: Callable[[Any], Reply]) -> Reply:
        async with self._admission.turn(cost_s(request)):
            with metrics.WORKERS_BUSY.track_inprogress():
                return await anyio.to_thread.run_sync(
                    partial(compute, request), limiter=self._threads
                )


def _cached(reply: Reply) -> Reply:
    metrics.ANSWERS_CACHED.inc()
    return reply.model_copy(update={"cached": True})


class _Pending:
    """The answer that the first of several is about to have."""

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.reply: Message | None = None


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
        """Return where a query of this cost goes."""
        return self._quick if cost_s <= QUICK_S else self._slow

    @asynccontextmanager
    async def turn(self, cost_s: float) -> AsyncIterator[None]:
        """Wait for a thread and have it while the context is open; see `AdmissionQueue.turn`."""
        async with self.queue(cost_s).turn(cost_s):
            yield


@dataclass(order=True)
class QueuedQuery:
    """A query in a queue; ordered by whose turn is next."""

    rank: float
    number: int
    cost_s: float = field(compare=False)
    turn: anyio.Event = field(default_factory=anyio.Event, compare=False)


class AdmissionQueue:
    """Queries of one kind of length: so many computed at once, the others in order.

    Parameters
    ----------
    threads
        Queries computed at the same time.
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
            f"{self.waiting} queries wait already, about {self.load_s:.3g} s of work: {advice}",
            dict(detail),
        )
