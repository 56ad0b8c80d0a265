"""What orchestrators are told of a process."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import pytest
from prometheus_client import REGISTRY

from cwt_runtime.process.vitals import LAG_WINDOW_S, STUCK_S, LoopLag, Vitals
from cwt_runtime.telemetry.metrics import LOOP_LAG
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

LAG = "cwt_event_loop_lag_seconds"


async def test_a_loop_that_was_not_seen_for_long_is_stuck() -> None:
    now = 100.0
    vitals = Vitals(lambda: False, clock=lambda: now)
    now += STUCK_S
    assert vitals.alive() == ""
    now += 1
    assert vitals.alive() == f"the event loop has been blocked for {STUCK_S + 1:.0f} s"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vitals.beat)
        await anyio.wait_all_tasks_blocked()
        assert vitals.alive() == ""
        tasks.cancel_scope.cancel()


async def test_a_process_is_ready_while_it_works_on_a_connection_that_stands() -> None:
    stopping = False
    vitals, bus, is_ready = Vitals(lambda: stopping), MemoryBus(), anyio.Event()
    assert vitals.ready() == "no connection to NATS"
    vitals.watch(bus, is_ready)
    assert vitals.ready() == "starting"
    is_ready.set()
    assert vitals.ready() == ""
    stopping = True
    assert vitals.ready() == "stopping"


def test_the_longest_delay_is_reported_for_at_least_one_window_and_at_most_two() -> None:
    lag = LoopLag(0.0)
    assert lag.record(0.2, 1.0) == 0.2
    assert lag.record(0.1, LAG_WINDOW_S) == 0.2
    assert lag.record(0.0, 2 * LAG_WINDOW_S - 1) == 0.2
    assert lag.record(0.0, 2 * LAG_WINDOW_S) == 0.1
    assert lag.record(0.0, 3 * LAG_WINDOW_S) == 0.0


async def test_work_on_the_loop_shows_as_its_delay() -> None:
    LOOP_LAG.set(0.0)
    vitals = Vitals(lambda: False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vitals.beat)
        await anyio.wait_all_tasks_blocked()
        busy_until = time.monotonic() + 0.3
        while time.monotonic() < busy_until:
            pass
        with fail_after(5):
            while not REGISTRY.get_sample_value(LAG):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert (REGISTRY.get_sample_value(LAG) or 0.0) >= 0.2
