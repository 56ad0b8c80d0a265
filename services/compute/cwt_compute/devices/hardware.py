"""Hardware report: processor and graphics card of a worker, and the devices of the bridge."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.hardware import (
    CpuReport,
    DeviceKind,
    DeviceReport,
    HardwareReply,
    HwList,
    HwListing,
)
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.limits import MAX_TEXT

__all__ = ["answer_hardware"]

#: The bridge only lists devices, which takes tens of milliseconds with many ports.
BRIDGE_TIMEOUT_S = 2.0
#: Time limit for nvidia-smi, because a driver may hang.
GPU_TIMEOUT_S = 5.0

#: States of a device that can be used.
WORKING = frozenset({"ready", "busy"})

#: Maximum number of ports in a report; a machine may have dozens.
NAMED_PORTS = 8


async def answer_hardware(bus: Bus) -> HardwareReply:
    """Return the report of this host, with the devices that the bridge lists."""
    fpga, embedded = await _bridge_reports(bus)
    return HardwareReply(fpga=fpga, embedded=embedded, gpu=await _gpu(), cpu=_cpu())


async def _bridge_reports(bus: Bus) -> tuple[DeviceReport, DeviceReport]:
    try:
        reply = await bus.request(
            subjects.HW_LIST,
            encode(HwList(), ContentType.MSGPACK),
            {CONTENT_TYPE: ContentType.MSGPACK.value},
            timeout_s=BRIDGE_TIMEOUT_S,
        )
        # An error reply has a different format, so decoding fails as for any unexpected reply.
        listing = decode(HwListing, reply.data, content_type_of(reply.headers))
    except (BusError, ContractError):
        absent = DeviceReport(available=False, detail="the hardware bridge does not answer")
        return absent, absent
    return _report("tangnano9k", "an FPGA board", listing), _report(
        "elm11", "a microcontroller", listing
    )


def _report(kind: DeviceKind, description: str, listing: HwListing) -> DeviceReport:
    """Return the report of the first usable device of a kind, else of the first device."""
    candidates = [each for each in listing.configured if each.kind == kind]
    if not candidates:
        return _unassigned(description, listing)
    best = min(candidates, key=lambda each: each.state not in WORKING)
    works = best.state in WORKING
    operations = ", ".join(best.operations)
    return DeviceReport(
        available=works,
        device=best.device,
        build_hash=best.build_hash,
        simulated=best.simulated,
        detail=f"{best.state} on {best.port}: {operations if works else best.detail}"[:MAX_TEXT],
    )


def _unassigned(kind: str, listing: HwListing) -> DeviceReport:
    """Return the report for a kind of device without a port; ports are never probed."""
    ports = [device.port for device in listing.devices]
    named = ", ".join(ports[:NAMED_PORTS]) + (", ..." if len(ports) > NAMED_PORTS else "")
    seen = f"serial ports of this machine: {named}" if ports else "this machine has no serial ports"
    return DeviceReport(available=False, detail=f"no port is configured for {kind}; {seen}")


async def _gpu() -> DeviceReport:
    program = shutil.which("nvidia-smi")
    if program is None:
        return DeviceReport(available=False, detail="nvidia-smi is not installed")
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    with anyio.move_on_after(GPU_TIMEOUT_S):
        try:
            done = await anyio.run_process(command, stderr=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, OSError):
            return DeviceReport(available=False, detail="nvidia-smi finds no graphics card")
        names = done.stdout.decode(errors="replace").strip().splitlines()
        if names:
            return DeviceReport(available=True, device=names[0][:256])
        return DeviceReport(available=False, detail="nvidia-smi finds no graphics card")
    return DeviceReport(available=False, detail=f"no answer from nvidia-smi in {GPU_TIMEOUT_S} s")


def _cpu() -> CpuReport:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return CpuReport(cores=cores or 1, detail=platform.machine())
