"""The way of a question that is computed: looked up, admitted, computed off the loop, kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from schemas.message import Message
from services.compute.admission import Admission
from services.compute.kept_answers import KeptAnswers, key_of
from services.compute.queries import cost_s, worth_keeping
from services.runtime import metrics

__all__ = ["Answering"]

Reply = TypeVar("Reply", bound=Message)


class Answering:
    """Answers by computing, at most as much at once as was admitted.

    A question that is answered from what was kept waits for nobody.
    """

    def __init__(self, admission: Admission, kept: KeptAnswers) -> None:
        self._admission = admission
        # The lanes say how many; this only keeps them out of the budget that others share.
        self._threads = anyio.CapacityLimiter(math.inf)
        self._kept = kept

    async def answer(
        self, question: Message, compute: Callable[[Any], Reply], reply: type[Reply]
    ) -> Reply:
        """Return the answer, kept from before or computed.

        Raises
        ------
        ContractError
            The question is refused, for what it is or for what waits already.
        """
        if not worth_keeping(question):
            return await self._computed(question, compute)
        key = await anyio.to_thread.run_sync(key_of, question)
        found = await self._kept.find(key, reply)
        if found is not None:
            metrics.ANSWERS_CACHED.inc()
            return found
        fresh = await self._computed(question, compute)
        await self._kept.keep(key, fresh)
        return fresh

    async def _computed(self, question: Message, compute: Callable[[Any], Reply]) -> Reply:
        async with self._admission.turn(cost_s(question)):
            with metrics.WORKERS_BUSY.track_inprogress():
                return await anyio.to_thread.run_sync(
                    partial(compute, question), limiter=self._threads
                )
