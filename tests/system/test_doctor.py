"""The doctor looks at a system with faults: stuck devices, paused queues, missing workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwt_cli.doctor import checkup
from cwt_runtime.bus import Bus
from cwt_schemas import storage
from tests.deadlines import fail_after
from tests.hwpeer.pty_device import PtyDevice
from tests.system.conftest import running_system

pytestmark = [pytest.mark.anyio, pytest.mark.system]


async def finds(bus: Bus, about: str, detail: str) -> None:
    """Look until something is wrong, and says `detail`."""
    with fail_after(60):
        while True:
            wrong = [each for each in await checkup(bus) if each.verdict == "wrong"]
            if any(each.about == about and detail in each.detail for each in wrong):
                return


async def test_faults_of_devices_queues_and_workers_are_found(tmp_path: Path) -> None:
    with PtyDevice(tmp_path / "fpga") as device:
        device.mood = "silent"
        ports = {"CWT_HW_PORTS": f"fpga0=tangnano9k:{device.path}"}
        async with running_system(tmp_path, workers=1, environment=ports) as system:
            await finds(system.bus, "device fpga0", "faulty: ")
            await system.bus.request(
                f"$JS.API.CONSUMER.PAUSE.{storage.WINDOWS}.{storage.COMPUTE_WINDOWS}",
                b'{"pause_until":"2099-01-01T00:00:00Z"}',
                timeout_s=5,
            )
            await finds(system.bus, "health", "its consumer is paused")
            system.kill("compute-0")
            await finds(system.bus, "compute", "not running")
            await finds(system.bus, "health", "its consumer is paused")  # asked of ingest
