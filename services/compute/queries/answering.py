"""The way of a question that is computed: looked up, admitted, computed off the loop, kept.

The same question asked by several at the same time is computed once: the later ones wait for the
first one's answer. If there is none, because the first was refused, failed, or was cancelled, the
next of them takes its place, so nobody is told of a fault that is not his own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from schemas.message import Message
from services.compute.queries import cost_s, reply_numbers, worth_keeping, worth_sharing
from services.compute.queries.admission import Admission
from services.compute.queries.kept_answers import KeptAnswers, key_of
from services.runtime.telemetry import metrics

__all__ = ["Answering"]

Reply = TypeVar("Reply", bound=Message)

#: Of float64, the larger of the two precisions.
NUMBER_BYTES = 8


class _Pending:
    """The answer that the first of several is about to have."""

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.reply: Message | None = None


class Answering:
    """Answers by computing, at most as much at once as was admitted.

    A question that is answered from what was kept, or from what another one is about to be told,
    waits for no thread.
    """

    def __init__(self, admission: Admission, kept: KeptAnswers) -> None:
        self._admission = admission
        # The lanes say how many; this only keeps them out of the budget that others share.
        self._threads = anyio.CapacityLimiter(math.inf)
        self._kept = kept
        self._pending: dict[str, _Pending] = {}

    async def answer(
        self, question: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        """Return the answer: kept from before, another's, or computed.

        Raises
        ------
        ContractError
            The question is refused, for what it is or for what waits already.
        """
        if not worth_sharing(question):
            return await self._computed(question, compute)
        key = await anyio.to_thread.run_sync(key_of, question)
        while (first := self._pending.get(key)) is not None:
            await first.settled.wait()
            if isinstance(first.reply, reply):
                return _cached(first.reply)
        return await self._as_first(key, question, compute, reply)

    async def _as_first(
        self, key: str, question: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        mine = self._pending[key] = _Pending()
        try:
            found = await self._kept_or_computed(key, question, compute, reply)
            mine.reply = found
            return found
        finally:
            del self._pending[key]
            mine.settled.set()

    async def _kept_or_computed(
        self, key: str, question: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        if not worth_keeping(question):
            return await self._computed(question, compute)
        about = NUMBER_BYTES * reply_numbers(question)
        found = await self._kept.find(key, reply, about_bytes=about)
        if found is not None:
            return _cached(found)
        fresh = await self._computed(question, compute)
        await self._kept.keep(key, fresh)
        return fresh

    async def _computed(self, question: Message, compute: Callable[[Any], Reply]) -> Reply:
        async with self._admission.turn(cost_s(question)):
            with metrics.WORKERS_BUSY.track_inprogress():
                return await anyio.to_thread.run_sync(
                    partial(compute, question), limiter=self._threads
                )


def _cached(reply: Reply) -> Reply:
    metrics.ANSWERS_CACHED.inc()
    return reply.model_copy(update={"cached": True})
