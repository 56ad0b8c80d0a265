"""What orchestrators are told of a process."""

from __future__ import annotations

import anyio
import pytest

from cwt_runtime.process.vitals import STUCK_S, Vitals
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio


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
