"""What a worker can compute on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwt_compute.devices.hardware import answer_hardware
from cwt_hwbridge.app import list_endpoint
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.telemetry.logs import logger
from cwt_schemas.hardware import HwListing, SerialDevice
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

BRIDGE = Identity(name="hwbridge", id="h", version="0.0.1", description="")


async def test_missing_bridge_and_gpu_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    reply = await answer_hardware(MemoryBus())
    assert not reply.fpga.available
    assert "bridge" in reply.fpga.detail
    assert "nvidia-smi" in reply.gpu.detail
    assert reply.cpu.cores >= 1


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ((), "serial port"),
        ((SerialDevice(port="/dev/ttyUSB7"),), "/dev/ttyUSB7"),
    ],
)
async def test_what_the_bridge_lists_is_told_and_no_port_is_taken_for_a_device(
    devices: tuple[SerialDevice, ...], words: str
) -> None:
    bus = MemoryBus()
    endpoint = list_endpoint(lambda: HwListing(devices=devices))
    async with serve_endpoints(bus, BRIDGE, [endpoint], logger("test")):
        reply = await answer_hardware(bus)
    assert words in reply.fpga.detail
    assert words in reply.embedded.detail
    assert not reply.fpga.available


@pytest.mark.parametrize(
    ("script", "available", "words"),
    [
        ("echo 'Card X, 8192 MiB'", True, "Card X"),
        ("exit 9", False, "graphics card"),
        ("true", False, "graphics card"),
    ],
)
async def test_the_graphics_card_is_what_its_driver_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, available: bool, words: str
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    gpu = (await answer_hardware(MemoryBus())).gpu
    assert gpu.available is available
    assert words in (gpu.device or "") + gpu.detail
