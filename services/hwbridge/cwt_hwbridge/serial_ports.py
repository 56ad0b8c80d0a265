"""List the serial ports of this machine, without opening them."""

from __future__ import annotations

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from cwt_schemas.hardware import HwListing, SerialDevice

__all__ = ["list_serial_devices"]

#: Longest description in a listing; descriptions come from the device and are unrestricted.
LABEL = 256


def list_serial_devices() -> HwListing:
    """Return the ports sorted by name, with the USB descriptions of their devices."""
    ports = sorted(list_ports.comports(), key=lambda port: port.device)
    return HwListing(devices=tuple(serial_device(port) for port in ports))


def serial_device(port: ListPortInfo) -> SerialDevice:
    """Return the listing's entry of one port."""
    return SerialDevice(
        port=port.device[:LABEL],
        description=(port.description or "")[:LABEL],
        manufacturer=_label(port.manufacturer),
        vid=port.vid,
        pid=port.pid,
        serial_number=_label(port.serial_number),
    )


def _label(text: str | None) -> str | None:
    return None if text is None else text[:LABEL]
