"""From a worker thread to the bus of the event loop."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from services.runtime.bus import Bus
from services.runtime.rpc.sync_bus import SyncBus, reachable_from_threads, sync_bus
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio


async def echo(bus: Bus, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    async with bus.subscribe("echo") as questions:
        task_status.started()
        async for question in questions:
            await bus.publish(question.reply or "", question.data[::-1])


def found() -> SyncBus:
    reached = sync_bus()
    assert reached is not None
    return reached


async def test_a_thread_asks_on_the_bus_of_its_service() -> None:
    bus = MemoryBus()
    async with anyio.create_task_group() as tasks:
        await tasks.start(lambda task_status: echo(bus, task_status=task_status))
        with reachable_from_threads(bus):
            reply = await anyio.to_thread.run_sync(
                lambda: found().request("echo", b"abc", timeout_s=5)
            )
        tasks.cancel_scope.cancel()

    assert reply.data == b"cba"


async def test_outside_of_a_service_there_is_no_bus() -> None:
    assert sync_bus() is None
    with reachable_from_threads(MemoryBus()):
        assert await anyio.to_thread.run_sync(sync_bus) is not None
    assert await anyio.to_thread.run_sync(sync_bus) is None


async def test_a_call_on_the_event_loop_is_an_error_rather_than_a_deadlock() -> None:
    with reachable_from_threads(MemoryBus()), pytest.raises(RuntimeError, match="worker thread"):
        found().request("echo", b"", timeout_s=5)


async def test_cancelling_the_task_ends_the_wait_of_its_thread() -> None:
    bus = MemoryBus()

    def ask() -> None:
        found().request("silence", b"", timeout_s=60)

    with fail_after(5):
        async with bus.subscribe("silence") as questions, anyio.create_task_group() as tasks:
            with reachable_from_threads(bus):
                tasks.start_soon(anyio.to_thread.run_sync, ask)
            async for _ in questions:
                break
            tasks.cancel_scope.cancel()
