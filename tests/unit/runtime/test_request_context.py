"""What code finds out about the request it serves, and how a worker thread reaches the bus."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from services.runtime.bus import Bus
from services.runtime.rpc.early import Early
from services.runtime.rpc.request_context import (
    RequestContext,
    SyncBus,
    request_context,
    service_context,
    serving_request,
)
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio


async def echo(bus: Bus, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    async with bus.subscribe("echo") as questions:
        task_status.started()
        async for question in questions:
            await bus.publish(question.reply or "", question.data[::-1])


def found() -> SyncBus:
    reached = request_context().bus
    assert reached is not None
    return reached


async def test_a_thread_asks_on_the_bus_of_its_service() -> None:
    bus = MemoryBus()
    async with anyio.create_task_group() as tasks:
        await tasks.start(lambda task_status: echo(bus, task_status=task_status))
        with service_context(bus):
            reply = await anyio.to_thread.run_sync(
                lambda: found().request("echo", b"abc", timeout_s=5)
            )
        tasks.cancel_scope.cancel()

    assert reply.data == b"cba"


async def test_outside_of_a_service_there_is_no_bus() -> None:
    assert request_context() == RequestContext()
    with service_context(MemoryBus()):
        assert (await anyio.to_thread.run_sync(request_context)).bus is not None
    assert await anyio.to_thread.run_sync(request_context) == RequestContext()


def test_a_request_keeps_the_bus_of_its_service() -> None:
    bus = MemoryBus()
    early = Early(bus, None)
    with service_context(bus):
        with serving_request("_INBOX.one.2", early):
            assert found().bus is bus
            assert request_context().client_id == "_INBOX.one"
            assert request_context().early is early
        assert request_context().client_id == ""
        assert request_context().early is None


async def test_a_call_on_the_event_loop_is_an_error_rather_than_a_deadlock() -> None:
    with service_context(MemoryBus()), pytest.raises(RuntimeError, match="worker thread"):
        found().request("echo", b"", timeout_s=5)


async def test_cancelling_the_task_ends_the_wait_of_its_thread() -> None:
    bus = MemoryBus()

    def ask() -> None:
        found().request("silence", b"", timeout_s=60)

    with fail_after(5):
        async with bus.subscribe("silence") as questions, anyio.create_task_group() as tasks:
            with service_context(bus):
                tasks.start_soon(anyio.to_thread.run_sync, ask)
            async for _ in questions:
                break
            tasks.cancel_scope.cancel()
