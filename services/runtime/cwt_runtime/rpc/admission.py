"""Admission control of a service: limits on request bytes, large messages, and queued work.

Request bodies are counted on arrival, before they are decoded. Large messages are decoded and
encoded in one thread, and only a few replies that exceed a message are produced concurrently. Work
has two queues with separate threads, so that a query of milliseconds never waits for one of half a
minute. A queue runs the query with the smallest `arrival + PATIENCE * cost` first: cheap queries
overtake expensive ones that arrived shortly before, and no query starves. The total cost of each
queue is bounded. A query that exceeds a limit is refused immediately, with a time after which a
retry will probably be accepted. All of it runs on the event loop.
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

#: Requests up to this size are not counted: their number is limited, and health checks must work
#: when the budget is exhausted.
SMALL_BYTES = 64 * 1024
#: Delay before a retry after `overloaded`, seconds; waiting requests are decoded by then.
RETRY_S = 1.0
MIB = 1024 * 1024
#: Threads that decode and encode large messages. They hold the interpreter lock throughout, so more
#: threads would not be faster, and each needs ten times the size of a JSON request in memory.
CODEC_THREADS = 1
#: Replies too large for a message that are computed, encoded or stored concurrently. Storing takes
#: longer than computing, and replies stay in memory until they are stored.
LARGE_REPLIES = 2
#: Maximum estimated cost of a query in the quick queue, seconds.
QUICK_S = 0.2
#: Delay of a query in favour of cheaper ones, in seconds per second of its cost.
PATIENCE = 2.0
#: Maximum number of queries in a queue; each holds a request of up to 8 MiB.
MAX_WAITING = 64
#: Above this cost a refusal suggests a job, which has no limit on its waiting time.
LONG_S = 2.0
#: Minimum delay before a retry that a refusal suggests, seconds.
LEAST_RETRY_S = 0.1


class Admission:
    """The limits of one service.

    Parameters
    ----------
    max_bytes
        Maximum total size of the request bodies larger than `SMALL_BYTES`. A single body of any
        size is accepted.
    threads
        Number of threads of each queue.
    backlog_s
        Maximum estimated waiting time in a queue, seconds.
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
        """Total size of the counted request bodies, bytes."""
        return self._held

    def reserve(self, size: int) -> None:
        """Count a request of `size` bytes until it is released.

        Raises
        ------
        Overloaded
            The budget is exhausted.
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
        """Call `work`, which decodes or encodes a message, in the codec thread."""
        return await anyio.to_thread.run_sync(partial(work, *arguments), limiter=self._codec)

    def reply_slot(self, *, large: bool) -> AbstractAsyncContextManager[object]:
        """Return the context to hold while producing a reply; large replies are limited."""
        return self._large_replies if large else nullcontext()

    def queue(self, cost_s: float) -> AdmissionQueue:
        """Return the queue for work of this cost."""
        return self._quick if cost_s <= QUICK_S else self._slow

    @asynccontextmanager
    async def turn(self, cost_s: float) -> AsyncIterator[None]:
        """Wait for a thread and hold it while the context is open; see `AdmissionQueue.turn`."""
        async with self.queue(cost_s).turn(cost_s):
            yield


@dataclass(order=True)
class QueuedQuery:
    """A query in a queue; queries are ordered by rank."""

    rank: float
    number: int
    cost_s: float = field(compare=False)
    turn: anyio.Event = field(default_factory=anyio.Event, compare=False)


class AdmissionQueue:
    """Run a limited number of queries concurrently, and queue the others.

    Parameters
    ----------
    threads
        Maximum number of queries computed concurrently.
    backlog_s
        Maximum estimated waiting time in the queue, seconds.
    """

    def __init__(self, threads: int, backlog_s: float) -> None:
        self._threads = threads
        self._backlog_s = backlog_s
        self._running = 0
        self._waiting: list[QueuedQuery] = []
        self._numbers = itertools.count()
        #: Estimated cost of the running and waiting queries, in seconds of one core.
        self.load_s = 0.0

    @property
    def waiting(self) -> int:
        """Number of waiting queries."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, cost_s: float) -> AsyncIterator[None]:
        """Wait for a thread and hold it while the context is open.

        Raises
        ------
        Overloaded
            The queue is full; the detail contains the time to retry.
        """
        query = self.enter(cost_s, anyio.current_time())
        try:
            await query.turn.wait()
            yield
        finally:
            self.leave(query)

    def enter(self, cost_s: float, now: float) -> QueuedQuery:
        """Add a query to the queue; its `turn` is set when a thread is free."""
        full = self.waiting >= MAX_WAITING
        if self._running and (full or self.load_s + cost_s > self._backlog_s * self._threads):
            raise self._refusal(cost_s, full=full)
        query = QueuedQuery(now + PATIENCE * cost_s, next(self._numbers), cost_s)
        self.load_s += cost_s
        heapq.heappush(self._waiting, query)
        self._start_next()
        return query

    def leave(self, query: QueuedQuery) -> None:
        """Release the thread or the place of a query, and start the next one."""
        self.load_s = max(0.0, self.load_s - query.cost_s)
        if query.turn.is_set():
            self._running -= 1
        else:  # cancelled while waiting
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
