"""What a service takes on at a time: bytes of requests, large messages, and work by its cost.

Bodies of requests are counted on arrival, before anything is read. Large messages are read and
written in one thread, and few replies too large for a message are made at the same time. Work has
two queues, each with threads of its own, so that a query of milliseconds never waits for one of
half a minute. Within a queue the next one is the one with the smallest `arrival + PATIENCE * cost`:
cheap queries overtake expensive ones, but only those that came not much earlier, so none waits for
ever. What waits is bounded by its cost. What does not fit is refused at once, with a time after
which it probably would. All of it runs on the event loop.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from cwt_runtime.settings import REQUESTS_MAX_BYTES
from cwt_schemas.errors import Overloaded
from cwt_schemas.subjects import job

__all__ = ["RETRY_S", "SMALL_BYTES", "Admission"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

#: Requests of at most this size are not counted: their number is limited, and a health check must
#: be possible while the budget is used up.
SMALL_BYTES = 64 * 1024
#: When to retry after `overloaded`: the requests that wait to be decoded are decoded by then.
RETRY_S = 1.0
MIB = 1024 * 1024
#: Threads that decode and encode large messages. They hold the interpreter's lock throughout: more
#: would be no faster, and hold what a request takes while it is read, ten times its size in JSON,
#: as many times over.
CODEC_THREADS = 1
#: Replies too large for a message that are computed, encoded or stored at the same time: the store
#: takes longer than the library, and replies that wait for it are in memory.
LARGE_REPLIES = 2
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


class Admission:
    """The limits of one service.

    Parameters
    ----------
    max_bytes
        Of the bodies larger than `SMALL_BYTES` that are held together. A single one always fits.
    threads
        Of each of the two queues.
    backlog_s
        Estimated seconds that the last in a queue waits at most.
    """

    def __init__(
        self,
        *,
        max_bytes: int = REQUESTS_MAX_BYTES,
        threads: int = 1,
        backlog_s: float = math.inf,
    ) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._codec = anyio.CapacityLimiter(CODEC_THREADS)
        self._large_replies = anyio.Semaphore(LARGE_REPLIES)
        self._quick = AdmissionQueue(threads, backlog_s)
        self._slow = AdmissionQueue(threads, backlog_s)

    @property
    def held(self) -> int:
        """Bytes that are counted now."""
        return self._held

    def reserve(self, size: int) -> None:
        """Count a request of `size` bytes until it is released.

        Raises
        ------
        Overloaded
            The budget is used up.
        """
        if size <= SMALL_BYTES:
            return
        if self._held and self._held + size > self._max_bytes:
            raise Overloaded(
                f"requests already use {self._held / MIB:.1f} MiB of {self._max_bytes / MIB:.1f} "
                f"MiB: retry in {RETRY_S:g} s, start "
                "more workers, or raise CWT_REQUESTS_MAX_BYTES",
                {"retry_after_s": RETRY_S, "size": size, "limit": self._max_bytes},
            )
        self._held += size

    def release(self, size: int) -> None:
        """Stop counting a request of `size` bytes."""
        if size > SMALL_BYTES:
            self._held -= size

    async def in_codec_thread(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Return what `work` returns, decoding or encoding a message that may be large."""
        return await anyio.to_thread.run_sync(partial(work, *arguments), limiter=self._codec)

    def reply_slot(self, *, large: bool) -> AbstractAsyncContextManager[object]:
        """Return what to hold while a reply is made that is too large for a message, or not."""
        return self._large_replies if large else nullcontext()

    def queue(self, cost_s: float) -> AdmissionQueue:
        """Return where work of this cost goes."""
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
        advice = f"retry in {retry_s:g} s, or start more workers"
        detail: dict[str, str | float] = {"retry_after_s": retry_s, "cost_s": round(cost_s, 3)}
        if cost_s > LONG_S:
            advice += f"; {job('submit')} accepts work of this length without a time limit"
            detail["subject"] = job("submit")
        return Overloaded(
            f"{self.waiting} queries are already waiting, about {self.load_s:.3g} s of work: "
            f"{advice}",
            dict(detail),
        )
