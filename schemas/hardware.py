"""What the machines of the system have besides a processor."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.message import Items, Message, Text
from schemas.names import Name

Label = Annotated[str, Field(max_length=256)]
UsbId = Annotated[int, Field(ge=0, le=0xFFFF)]


class SerialDevice(Message):
    """Something on a serial port, as the operating system describes it; nothing was sent to it."""

    port: Label
    description: Label = ""
    manufacturer: Label | None = None
    vid: UsbId | None = None
    pid: UsbId | None = None
    serial_number: Label | None = None


class ConfiguredPort(Message):
    """A port that the operator gave to a device; the bridge opens no others."""

    device: Name
    port: Label


class HwList(Message):
    """Asks the bridge what is plugged in."""


class HwListing(Message):
    """What is plugged in, and which ports the bridge was told to use."""

    devices: Items[SerialDevice]
    configured: Items[ConfiguredPort] = ()


class HardwareRequest(Message):
    """Asks what there is to compute on."""


class DeviceReport(Message):
    """One device, or the reason why there is none."""

    available: bool
    device: Label | None = None
    #: Identifies the gateware or firmware that answered.
    build_hash: Label | None = None
    #: Whether it is a simulation of the device.
    simulated: bool = False
    detail: Text = ""


class CpuReport(Message):
    """The processor of the worker that answered."""

    available: bool = True
    cores: Annotated[int, Field(ge=1)]
    detail: Text = ""


class HardwareReply(Message):
    """What there is to compute on."""

    fpga: DeviceReport
    embedded: DeviceReport
    gpu: DeviceReport
    cpu: CpuReport
