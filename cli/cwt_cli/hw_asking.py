"""Questions to one device on the bridge, with patience for what a device takes."""

from __future__ import annotations

import secrets
from typing import TypeVar

from cwt_runtime.bus import Bus
from cwt_runtime.devices.calls import cancelled_with_caller
from cwt_schemas import subjects
from cwt_schemas.hardware import HwList, HwListing, HwOperation
from cwt_schemas.hwops import HwInfo, HwInfoRequest, HwRequest
from cwt_schemas.message import Message
from pycwt_client.queries import ask

__all__ = ["info_of", "listing_of", "operate"]

R = TypeVar("R", bound=Message)

LIST_S = 5.0
INFO_S = 30.0
#: Longer than any operation of these commands may take, so that the bridge says what went wrong.
OPERATION_S = 620.0


async def listing_of(bus: Bus) -> HwListing:
    """Return the ports and the devices."""
    return await ask(bus, subjects.HW_LIST, HwList(), HwListing, timeout_s=LIST_S)


async def info_of(bus: Bus, device: str) -> HwInfo:
    """Return how a device is."""
    subject = subjects.hw(device, "info")
    return await ask(bus, subject, HwInfoRequest(), HwInfo, timeout_s=INFO_S)


async def operate(
    bus: Bus, device: str, operation: HwOperation, request: HwRequest, reply: type[R]
) -> R:
    """Return what a device computed; interrupted, the device is stopped."""
    name = secrets.token_hex(8)
    named = request.model_copy(update={"id": name})
    subject = subjects.hw(device, operation)
    async with cancelled_with_caller(bus, device, name):
        return await ask(bus, subject, named, reply, timeout_s=OPERATION_S)
