"""Who computes, who waits for another's answer, and what becomes of those who wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

from cwt_compute.queries.cache import ReplyCache
from cwt_compute.queries.executor import QueryExecutor
from cwt_runtime.rpc.admission import Admission
from cwt_schemas.errors import Overloaded
from cwt_schemas.query import CwtRequest, SignificanceReply, SignificanceRequest
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio


def question(seed: int = 1, mc_count: int = 100) -> SignificanceRequest:
    """Return a query expensive enough to be deduplicated, and too cheap to be cached."""
    return SignificanceRequest(
        al1=0, al2=0.5, dt=1, dj=0.25, s0=2, J=20, mc_count=mc_count, seed=seed
    )


class Computer:
    """Computes when it is let, as the n-th of them does."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = faults
        self.calls = 0
        self.go = threading.Event()

    def __call__(self, asked: SignificanceRequest) -> SignificanceReply:
        self.calls += 1
        number = self.calls
        assert self.go.wait(60)
        if number <= len(self.faults) and (fault := self.faults[number - 1]) is not None:
            raise fault
        return SignificanceReply(
            signif=np.full(asked.J + 1, float(number)), seed=asked.seed, computation_time=1
        )


class Crowd:
    """Several clients of one worker, and the replies to each."""

    def __init__(self, computer: Callable[[SignificanceRequest], SignificanceReply]) -> None:
        self._computer = computer
        self._executor = QueryExecutor(
            Admission(threads=4, backlog_s=1000), ReplyCache(MemoryBus().log)
        )
        self.told: list[SignificanceReply | Exception] = []

    async def ask(self, asked: SignificanceRequest) -> None:
        try:
            self.told.append(await self._executor.execute(asked, self._computer, SignificanceReply))
        except (Overloaded, ZeroDivisionError) as error:
            self.told.append(error)

    @property
    def cached(self) -> list[bool]:
        return sorted(each.cached for each in self.told if isinstance(each, SignificanceReply))


async def settled(computer: Computer, calls: int) -> None:
    """Return when so many compute, and all others wait for an answer or for their turn."""
    identities = anyio.to_thread.current_default_thread_limiter()
    with fail_after(30):
        while True:
            await anyio.wait_all_tasks_blocked()
            if computer.calls == calls and identities.borrowed_tokens == 0:
                await anyio.wait_all_tasks_blocked()
                return
            await anyio.lowlevel.checkpoint()


async def asked_by_all(computer: Computer, *asked: SignificanceRequest, calls: int = 1) -> Crowd:
    """Return who asked while the first of them was still being computed."""
    crowd = Crowd(computer)
    async with anyio.create_task_group() as tasks:
        for each in asked:
            tasks.start_soon(crowd.ask, each)
        await settled(computer, calls)
        computer.go.set()
    return crowd


async def test_equal_queries_are_computed_once_and_marked_cached() -> None:
    computer = Computer()
    crowd = await asked_by_all(computer, *[question()] * 5)
    assert computer.calls == 1
    assert crowd.cached == [False, True, True, True, True]


async def test_cached_reply_is_not_used_for_other_query() -> None:
    computer = Computer()
    crowd = await asked_by_all(computer, question(1), question(2), calls=2)
    assert crowd.cached == [False, False]
    assert {each.seed for each in crowd.told if isinstance(each, SignificanceReply)} == {1, 2}


@pytest.mark.parametrize("fault", [Overloaded("of the first alone"), ZeroDivisionError()])
async def test_the_fault_of_the_first_is_not_that_of_the_others(fault: Exception) -> None:
    computer = Computer(fault)
    crowd = await asked_by_all(computer, *[question()] * 3)
    assert computer.calls == 2
    assert crowd.told[0] is fault
    assert crowd.cached == [False, True]


async def test_when_the_first_is_cancelled_the_next_one_computes() -> None:
    """In its admission queue, where it can be cancelled."""
    computer = Computer()
    crowd = Crowd(computer)
    async with anyio.create_task_group() as tasks:
        for seed in range(2, 6):
            tasks.start_soon(crowd.ask, question(seed))
        await settled(computer, 4)  # all threads of the admission queue
        async with anyio.create_task_group() as first:
            first.start_soon(crowd.ask, question())
            await settled(computer, 4)
            tasks.start_soon(crowd.ask, question())
            await settled(computer, 4)
            first.cancel_scope.cancel()
        computer.go.set()
    assert computer.calls == 5
    assert crowd.cached == [False] * 5


async def test_cheap_query_is_not_deduplicated() -> None:
    """Its answer would be ready before the comparison pays."""
    executor = QueryExecutor(Admission(threads=2, backlog_s=1000), ReplyCache(MemoryBus().log))
    both = threading.Barrier(2, timeout=30)
    cheap = CwtRequest(data=np.arange(16.0), dt=1)

    def compute(asked: CwtRequest) -> SignificanceReply:
        both.wait()
        return SignificanceReply(signif=np.zeros(len(asked.data)), computation_time=0)

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(executor.execute, cheap, compute, SignificanceReply)
