"""Requests to the hardware bridge, with timeouts that suit devices."""

from __future__ import annotations

import secrets
from typing import TypeVar

from cwt_runtime.bus import Bus
from cwt_runtime.devices.calls import cancelled_with_caller
from cwt_schemas import subjects
from cwt_schemas.hardware import HwList, HwListing, HwOperation
from cwt_schemas.hwops import HwInfo, HwInfoRequest, HwRequest
from cwt_schemas.message import Message
from pycwt_client.request import ask

__all__ = ["info_of", "listing_of", "operate"]

R = TypeVar("R", bound=Message)

LIST_S = 5.0
INFO_S = 30.0
#: Longer than the timeout of any operation here, so that the bridge reports a timeout first.
OPERATION_S = 620.0


async def listing_of(bus: Bus) -> HwListing:
    """List the serial ports and the configured devices."""
    return await ask(bus, subjects.HW_LIST, HwList(), HwListing, timeout_s=LIST_S)


async def info_of(bus: Bus, device: str) -> HwInfo:
    """Return the identity and the state of a device."""
    subject = subjects.hw(device, "info")
    return await ask(bus, subject, HwInfoRequest(), HwInfo, timeout_s=INFO_S)


async def operate(
    bus: Bus, device: str, operation: HwOperation, request: HwRequest, reply: type[R]
) -> R:
    """Run an operation on a device and return its reply; on cancellation, stop the device."""
    name = secrets.token_hex(8)
    named = request.model_copy(update={"id": name})
    subject = subjects.hw(device, operation)
    async with cancelled_with_caller(bus, device, name):
        return await ask(bus, subject, named, reply, timeout_s=OPERATION_S)
