"""A device that takes long to open, and callers who have less time than that."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable

import anyio
import pytest

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.device_worker import DeviceWorker, Progress
from cwt_hwbridge.driver import DeviceInfo, Driver
from cwt_hwbridge.line import Line
from cwt_hwbridge.port_config import PortConfig
from cwt_hwbridge.port_session import DeviceEvent, PortSession
from cwt_hwbridge.tangnano9k import TangNanoDriver
from cwt_schemas.errors import Conflict, Timeout
from cwt_schemas.hwops import HwSelftestRequest
from tests.deadlines import SCALE, fail_after
from tests.unit.hwbridge.elm11.lines import VirtualLine

pytestmark = pytest.mark.anyio

INFO = DeviceInfo(build_hash="ab", simulated=True, operations=frozenset({"selftest"}), baud=115_200)


class SlowDriver(TangNanoDriver):
    """Opens when it is let, and counts how often it was begun."""

    begun = 0
    let = threading.Event()

    def open(self, line: Line, deadline: CancellableDeadline) -> DeviceInfo:
        del line
        type(self).begun += 1
        while not self.let.wait(0.01):
            deadline.check()
        return INFO


@pytest.fixture
async def worker() -> AsyncIterator[DeviceWorker]:
    SlowDriver.begun = 0
    SlowDriver.let.clear()

    async def tell(config: PortConfig, what: DeviceEvent | Progress) -> None:
        del config, what

    config = PortConfig(device="slow0", kind="tangnano9k", port="/dev/null")
    yield DeviceWorker(config, PortSession(VirtualLine, SlowDriver, open_s=30.0), tell)
    SlowDriver.let.set()


async def ask(worker: DeviceWorker, timeout_s: float, name: str | None = None) -> str:
    async def plan() -> Callable[[Driver, DeviceInfo, CancellableDeadline], str]:
        return lambda _driver, info, _deadline: info.build_hash

    request = HwSelftestRequest(timeout_s=timeout_s, id=name)
    return await worker.operate("selftest", request, plan, client_id="a")


async def test_short_deadlines_do_not_prevent_opening_device(
    worker: DeviceWorker,
) -> None:
    for _ in range(3):
        with fail_after(5), pytest.raises(Timeout, match="30 s"):
            await ask(worker, 0.1)
    SlowDriver.let.set()
    assert await ask(worker, 20 * SCALE) == "ab"
    assert SlowDriver.begun == 1


async def test_waiting_for_open_device_can_be_cancelled(worker: DeviceWorker) -> None:
    async def cancelled() -> None:
        with pytest.raises(Conflict, match="mine"):
            await ask(worker, 20 * SCALE, "mine")

    with fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancelled)
            await anyio.wait_all_tasks_blocked()
            assert worker.cancel("mine") == "running"
    SlowDriver.let.set()
    assert await ask(worker, 20 * SCALE) == "ab"
