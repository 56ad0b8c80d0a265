"""Deliveries in progress are reported to the server."""

from __future__ import annotations

from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from cwt_compute.work_queue import Heartbeat
from cwt_runtime.bus import Delivery
from cwt_runtime.bus.errors import BusError
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio


class Beaten:
    """A delivery that counts its beats."""

    def __init__(self, failing: bool = False) -> None:
        self.beats = 0
        self.failing = failing

    async def in_progress(self) -> None:
        self.beats += 1
        if self.failing:
            raise BusError("away")

    async def until(self, beats: int) -> None:
        while self.beats < beats:
            await anyio.lowlevel.checkpoint()


def delivery(beaten: Beaten) -> Delivery:
    return cast(Any, beaten)  # type: ignore[no-any-return]


async def test_only_deliveries_in_progress_are_extended() -> None:
    heartbeat, done, slow = Heartbeat(every_s=0), Beaten(), Beaten()
    with fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heartbeat.run)
            with heartbeat.of(delivery(slow)):
                with heartbeat.of(delivery(done)):
                    await done.until(3)
                beats = done.beats
                await slow.until(slow.beats + 3)
            tasks.cancel_scope.cancel()
    assert done.beats == beats


async def test_unreachable_server_does_not_stop_heartbeat() -> None:
    heartbeat, beaten = Heartbeat(every_s=0), Beaten(failing=True)
    with fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heartbeat.run)
            with heartbeat.of(delivery(beaten)):
                await beaten.until(3)
            tasks.cancel_scope.cancel()
    assert beaten.beats >= 3
