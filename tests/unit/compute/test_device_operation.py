"""One operation of a device, while its bridge dies, restarts, or is unreachable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest

from cwt_compute.devices.operation import MISSING, simulate
from cwt_runtime.bus import Bus
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import Conflict, ContractError, Unavailable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.hwops import HwCancel, HwMcReply, HwMcRequest
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

MC = HwMcRequest(al1=0.5, al2=0.2, dj=0.25, s0=8.0, seed=7)
SUBJECT = subjects.hw("fpga0", "mc")
AGAIN_S = 0.01
DONE = HwMcReply(
    device="fpga0", kind="tangnano9k", build_hash="ab", simulated=True, computation_time=1.0,
    scales=np.array([8.0]), histograms=np.ones((1, 256), np.int32), saturations=0, seed=7,
)  # fmt: skip

Answer = HwMcReply | ContractError | None


@asynccontextmanager
async def bridge(bus: Bus, answer: Callable[[int, HwMcRequest], Answer]) -> AsyncIterator[None]:
    """Answer the requests, counted from 0, with what `answer` returns; None: not at all."""

    async def serve(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        count = 0
        async with bus.subscribe(SUBJECT) as messages:
            task_status.started()
            async for message in messages:
                found = answer(count, decode(HwMcRequest, message.data, ContentType.MSGPACK))
                count += 1
                if found is None or message.reply is None:
                    continue
                headers = {CONTENT_TYPE: ContentType.MSGPACK.value}
                headers |= found.headers() if isinstance(found, ContractError) else {}
                told = found.body() if isinstance(found, ContractError) else found
                body = encode(told, ContentType.MSGPACK)
                await bus.publish(message.reply, body, headers)

    async with anyio.create_task_group() as tasks:
        await tasks.start(serve)
        yield
        tasks.cancel_scope.cancel()


async def test_request_is_resent_to_restarted_bridge() -> None:
    bus, asked = MemoryBus(), []

    def answer(count: int, request: HwMcRequest) -> Answer:
        asked.append(request)
        return DONE if count == 1 else None  # the first one dies with it

    async with bridge(bus, answer):
        with fail_after(10):
            assert (await simulate(bus, "fpga0", MC, again_s=AGAIN_S)).seed == 7
    assert asked[0] == asked[1]
    assert asked[0].id is not None


async def test_request_waits_for_bridge_that_still_runs_it() -> None:
    bus, asked_again = MemoryBus(), anyio.Event()

    def answer(count: int, request: HwMcRequest) -> Answer:
        if count == 2:
            asked_again.set()
        return Conflict(f"an operation {request.id} is already queued or running")

    async def first(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with bus.subscribe(SUBJECT) as messages:
            task_status.started()
            message = await anext(aiter(messages))
            async with bridge(bus, answer):
                await asked_again.wait()
            assert message.reply is not None
            headers = {CONTENT_TYPE: ContentType.MSGPACK.value}
            await bus.publish(message.reply, encode(DONE, ContentType.MSGPACK), headers)

    async with anyio.create_task_group() as tasks:
        await tasks.start(first)
        with fail_after(10):
            assert (await simulate(bus, "fpga0", MC, again_s=AGAIN_S)).seed == 7


async def test_bridge_that_does_not_return_is_unavailable() -> None:
    bus, asked = MemoryBus(), []

    async def dies(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with bus.subscribe(SUBJECT) as messages:
            task_status.started()
            asked.append(await anext(aiter(messages)))

    async with anyio.create_task_group() as tasks:
        await tasks.start(dies)
        with fail_after(10), pytest.raises(Unavailable, match=r"bridge.*fpga0"):
            await simulate(bus, "fpga0", MC, again_s=AGAIN_S)
    assert len(asked) == 1 < MISSING


async def test_refusal_of_bridge_is_reported_immediately() -> None:
    bus = MemoryBus()
    async with bridge(bus, lambda *_: Conflict("the operation was cancelled")):
        with fail_after(10), pytest.raises(Conflict, match="was cancelled"):
            await simulate(bus, "fpga0", MC, again_s=60)


async def test_cancelled_caller_cancels_device_operation_by_id() -> None:
    bus, asked = MemoryBus(), []

    def answer(count: int, request: HwMcRequest) -> Answer:
        del count
        asked.append(request.id)
        calls.cancel_scope.cancel()
        return None

    async with (
        bus.subscribe(subjects.hw("fpga0", "cancel")) as cancels,
        bridge(bus, answer),
        anyio.create_task_group() as calls,
    ):
        calls.start_soon(simulate, bus, "fpga0", MC)
        with anyio.CancelScope(shield=True), fail_after(10):
            message = await anext(aiter(cancels))
    assert decode(HwCancel, message.data, ContentType.JSON).id == asked[0]
