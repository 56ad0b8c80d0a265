"""Execute a query: look it up in the cache, admit it, compute it off the event loop, cache it.

Equal queries that arrive at the same time are computed once: the later ones wait for the reply to
the first. If there is none, because the first was refused, failed or was cancelled, the next of
them takes its place, so no client receives the error of another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from cwt_compute.queries.cache import ReplyCache, reply_key
from cwt_compute.queries.cost import cost_s, reply_bytes, should_cache, should_coalesce
from cwt_runtime.rpc.admission import Admission
from cwt_runtime.telemetry import metrics
from cwt_schemas.message import Message

__all__ = ["QueryExecutor"]

Reply = TypeVar("Reply", bound=Message)


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
