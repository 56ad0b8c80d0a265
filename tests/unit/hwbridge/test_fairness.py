"""Two connections at one device: what one of them queues does not hold up the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cwt_hwbridge.fair_queue import MAX_WAITING_OF_ONE
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE, SERVICE_ERROR_CODE
from cwt_schemas.hwlink import Feature
from cwt_schemas.hwops import HwMcRequest
from tests.deadlines import fail_after
from tests.hwpeer.peer import DevicePeer, Identity
from tests.hwpeer.pty_device import PtyDevice
from tests.hwpeer.running import Caller, bridge

pytestmark = pytest.mark.anyio

GREEDY = MAX_WAITING_OF_ONE + 9


MC = HwMcRequest(al1=0.5, al2=0.2, dj=0.25, s0=8.0, rows=1, pairs=1)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[PtyDevice]:
    features = Feature.SELFTEST | Feature.MC | Feature.FIR
    with PtyDevice(tmp_path / "fpga", DevicePeer(Identity(features=features))) as device:
        yield device


async def send(caller: Caller, connection: str, count: int) -> None:
    """Send so many requests, as a client of that connection does."""
    for number in range(count):
        await caller.bus.publish(
            subjects.hw("fpga0", "mc"),
            encode(MC, ContentType.JSON),
            {CONTENT_TYPE: ContentType.JSON.value},
            reply=f"_INBOX.{connection}.{number}",
        )


@pytest.mark.slow
async def test_a_connection_that_queues_much_is_refused_and_delays_another_by_one(
    device: PtyDevice,
) -> None:
    done: list[str] = []
    refused: list[str] = []
    device.peer.work.held = True
    async with (
        bridge(f"fpga0=tangnano9k:{device.path}") as caller,
        caller.bus.subscribe("_INBOX.*.*") as answers,
    ):
        await caller.until("connected")
        await send(caller, "greedy", GREEDY)
        await caller.until_info(lambda info: info.queued == MAX_WAITING_OF_ONE)
        await send(caller, "modest", 1)
        await caller.until_info(lambda info: info.queued == MAX_WAITING_OF_ONE + 1)
        device.peer.work.held = False
        with fail_after(60):
            async for answer in answers:
                who = answer.subject.split(".")[1]
                code = answer.headers.get(SERVICE_ERROR_CODE)
                (done if code is None else refused).append(f"{who} {code or ''}".strip())
                if len(done) + len(refused) == GREEDY + 1:
                    break
    assert refused == ["greedy 429"] * (GREEDY - MAX_WAITING_OF_ONE - 1)
    assert done[:3] == ["greedy", "greedy", "modest"]
    assert len(done) == MAX_WAITING_OF_ONE + 2
