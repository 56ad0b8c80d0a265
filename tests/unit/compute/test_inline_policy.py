"""What is short is computed where it is; everything else goes to a thread."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from cwt_compute.live.windows import compute_window
from cwt_compute.live.worker import KINDS, InlinePolicy, WindowWorker
from cwt_runtime.telemetry.logs import logger
from cwt_schemas.pair_result import LiveResult
from tests.memory_bus import MemoryBus
from tests.unit.compute.test_windows import ME, a_window
from tests.unit.compute.test_worker import a_bus, body, handle_next

pytestmark = pytest.mark.anyio


def test_of_a_new_kind_nothing_is_known() -> None:
    assert not InlinePolicy(short_s=1e9).runs_inline("a")


def test_the_last_time_counts() -> None:
    inline = InlinePolicy(short_s=1.0)
    for seconds, short in ((0.5, True), (1.5, False), (1.0, True)):
        inline.record("a", seconds)
        assert inline.runs_inline("a") is short


def test_kinds_that_do_not_come_any_more_are_forgotten() -> None:
    inline = InlinePolicy(short_s=1.0)
    for kind in range(KINDS + 1):
        inline.record(kind, 0.1)
    assert not inline.runs_inline(0)
    assert inline.runs_inline(1)


class Watched:
    """A computation that says in which thread it was done."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.on_loop: list[bool] = []
        self.takes_s = takes_s

    def __call__(self, *args: Any) -> tuple[LiveResult, ...]:
        self.on_loop.append(threading.current_thread() is threading.main_thread())
        time.sleep(self.takes_s)
        return compute_window(*args)


def worker_of(bus: MemoryBus, compute: Watched, limiter: anyio.CapacityLimiter) -> WindowWorker:
    return WindowWorker(
        bus.log, name="w", limiter=limiter, max_tries=3, log=logger("test"), compute=compute,
        inline=InlinePolicy(short_s=0.2),
    )  # fmt: skip


@pytest.mark.parametrize(("takes_s", "on_loop"), [(0.0, [False, True]), (0.3, [False, False])])
async def test_a_short_kind_is_computed_on_the_loop_once_that_is_known(
    takes_s: float, on_loop: list[bool]
) -> None:
    compute_window(a_window(), ME)  # what is prepared once does not count
    bus, compute = await a_bus(body(a_window()), body(a_window())), Watched(takes_s)
    worker = worker_of(bus, compute, anyio.CapacityLimiter(1))
    for _ in on_loop:
        await handle_next(bus, worker)
    assert compute.on_loop == on_loop


async def test_a_short_window_waits_like_any_other_while_the_thread_budget_is_spent() -> None:
    bus, limiter = await a_bus(body(a_window()), body(a_window())), anyio.CapacityLimiter(1)
    compute = Watched()
    worker = worker_of(bus, compute, limiter)
    await handle_next(bus, worker)
    limiter.acquire_on_behalf_of_nowait("somebody")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle_next, bus, worker)
        await anyio.wait_all_tasks_blocked()
        assert len(compute.on_loop) == 1
        limiter.release_on_behalf_of("somebody")
    assert len(compute.on_loop) == 2
    assert limiter.borrowed_tokens == 0
