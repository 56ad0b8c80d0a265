"""What the machines of the system have besides a processor."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cwt_schemas.message import Count, Id, Items, Message, Name, PersistedMessage, Text

#: The kinds of device that there is a driver for.
DeviceKind = Literal["tangnano9k", "elm11"]

#: What a device computes; which of them a device has is in the bridge's answer to ``info``.
HwOperation = Literal["selftest", "fft", "cwt", "mc"]

#: ``absent``: there is no such port, or it may not be opened; ``faulty``: what is on the port does
#: not answer as it should.
DeviceState = Literal["absent", "faulty", "ready", "busy"]

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
    kind: DeviceKind
    state: DeviceState = "absent"
    #: What answered last; none while nothing does.
    build_hash: Label | None = None
    simulated: bool = False
    operations: Items[HwOperation] = ()
    #: Why it cannot be used.
    detail: Text = ""


class HwList(Message):
    """Asks the bridge what is plugged in."""


class HwListing(Message):
    """What is plugged in, and which ports the bridge was told to use."""

    devices: Items[SerialDevice]
    configured: Items[ConfiguredPort] = ()


HwEventKind = Literal[
    "connected", "absent", "lost", "wrong_device", "link_down", "reset", "progress"
]


class HwEvent(PersistedMessage):
    """Something that happened to a device on a serial port."""

    schema_id: Literal["hw.event/1"] = Field(default="hw.event/1", alias="schema")
    id: Id
    device: Name
    kind: HwEventKind
    detail: Text = ""
    #: What it was doing, and how far that was.
    operation: HwOperation | None = None
    done: Count | None = None
    total: Count | None = None
    t_ns: Count


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
