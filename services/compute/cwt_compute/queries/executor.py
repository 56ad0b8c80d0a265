"""Execute a query: look it up in the cache, admit it, compute it off the event loop, cache it.

Equal queries that are pending at the same time are computed once: the later ones wait for the reply
to the first. If the first is refused, fails or is cancelled, the next one takes its place, so no
client receives the error of another.
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
    """Compute replies concurrently, within the limits of admission.

    A query that is answered from the cache, or with the reply to an equal query, does not wait for
    a thread.
    """

    def __init__(self, admission: Admission, cache: ReplyCache) -> None:
        self._admission = admission
        # The admission queues limit the number of threads; a separate limiter keeps queries out of
        # the default thread budget.
        self._threads = anyio.CapacityLimiter(math.inf)
        self._cache = cache
        self._pending: dict[str, _Pending] = {}

    async def execute(
        self, request: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        """Return the reply: from the cache, from an equal query, or computed.

        Raises
        ------
        ContractError
            The query is invalid, or too many queries are waiting.
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
            result = await self._cached_or_computed(key, request, compute, reply)
            mine.reply = result
            return result
        finally:
            del self._pending[key]
            mine.settled.set()

    async def _cached_or_computed(
        self, key: str, request: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        if not should_cache(request):
            return await self._computed(request, compute)
        stored = await self._cache.get(key, reply, about_bytes=reply_bytes(request))
        if stored is not None:
            return _cached(stored)
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
    """The pending reply of the first of several equal queries."""

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.reply: Message | None = None
