"""Devices on serial ports, and the hardware that workers report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cwt_schemas.message import Count, Id, Items, Message, Name, PersistedMessage, Text

#: The kinds of device that have a driver.
DeviceKind = Literal["tangnano9k", "elm11"]

#: The operations of devices; the reply to ``info`` lists those of one device.
HwOperation = Literal["selftest", "fft", "cwt", "mc"]

#: ``absent``: the port does not exist or cannot be opened; ``faulty``: the device on the port does
#: not reply correctly.
DeviceState = Literal["absent", "faulty", "ready", "busy"]

Label = Annotated[str, Field(max_length=256)]
UsbId = Annotated[int, Field(ge=0, le=0xFFFF)]


class SerialDevice(Message):
    """A serial port as described by the operating system; the bridge sent nothing to it."""

    port: Label
    description: Label = ""
    manufacturer: Label | None = None
    vid: UsbId | None = None
    pid: UsbId | None = None
    serial_number: Label | None = None


class ConfiguredPort(Message):
    """A port that the operator configured for a device; the bridge opens no other ports."""

    device: Name
    port: Label
    kind: DeviceKind
    state: DeviceState = "absent"
    #: Build of the device that replied last; None if none replies.
    build_hash: Label | None = None
    simulated: bool = False
    operations: Items[HwOperation] = ()
    #: Why the device cannot be used.
    detail: Text = ""


class HwList(Message):
    """Request the serial ports and configured devices of the bridge."""


class HwListing(Message):
    """The serial ports of the bridge's machine, and the configured devices."""

    devices: Items[SerialDevice]
    configured: Items[ConfiguredPort] = ()


HwEventKind = Literal[
    "connected", "absent", "lost", "wrong_device", "link_down", "reset", "progress"
]


class HwEvent(PersistedMessage):
    """An event of a device on a serial port."""

    schema_id: Literal["hw.event/1"] = Field(default="hw.event/1", alias="schema")
    id: Id
    device: Name
    kind: HwEventKind
    detail: Text = ""
    #: The running operation, and its progress.
    operation: HwOperation | None = None
    done: Count | None = None
    total: Count | None = None
    t_ns: Count


class HardwareRequest(Message):
    """Request the available hardware."""


class DeviceReport(Message):
    """A device, or the reason why it is not available."""

    available: bool
    device: Label | None = None
    #: Identifies the gateware or firmware of the device.
    build_hash: Label | None = None
    #: Whether a simulation replied instead of a device.
    simulated: bool = False
    detail: Text = ""


class CpuReport(Message):
    """The processor of the worker that replied."""

    available: bool = True
    cores: Annotated[int, Field(ge=1)]
    detail: Text = ""


class HardwareReply(Message):
    """The available hardware."""

    fpga: DeviceReport
    embedded: DeviceReport
    gpu: DeviceReport
    cpu: CpuReport
