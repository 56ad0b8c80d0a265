"""What becomes of a device when `pycwt-mod hw` is interrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from cwt_cli.hw_asking import operate
from cwt_cli.hw_checks import trial_mc
from cwt_schemas.hwops import HwMcReply
from tests.deadlines import fail_after
from tests.hwpeer.pty_device import PtyDevice
from tests.hwpeer.running import Caller, bridge

pytestmark = pytest.mark.anyio


@pytest.fixture
def device(tmp_path: Path) -> Iterator[PtyDevice]:
    with PtyDevice(tmp_path / "fpga") as device:
        yield device


@pytest.fixture
async def caller(device: PtyDevice) -> AsyncIterator[Caller]:
    async with bridge(f"fpga0=tangnano9k:{device.path}") as caller:
        await caller.until("connected")
        yield caller


@pytest.mark.slow
async def test_interrupting_command_stops_device(caller: Caller, device: PtyDevice) -> None:
    device.peer.work.held = True
    async with anyio.create_task_group() as command:
        command.start_soon(operate, caller.bus, "fpga0", "mc", trial_mc(1), HwMcReply)
        await caller.until("progress")
        command.cancel_scope.cancel()
    with fail_after(10):
        await caller.until_info(lambda info: info.state == "ready")
