"""The listing of serial ports."""

from __future__ import annotations

import os
import pty

from serial.tools.list_ports_common import ListPortInfo

from cwt_hwbridge.serial_ports import list_serial_devices, serial_device


def port(**fields: object) -> ListPortInfo:
    info = ListPortInfo("/dev/ttyUSB0")
    for name, value in fields.items():
        setattr(info, name, value)
    return info


def test_usb_ids_are_passed_on() -> None:
    device = serial_device(
        port(description="JTAG", manufacturer="SIPEED", vid=0x0403, pid=0x6010, serial_number="A")
    )
    assert (device.port, device.description, device.manufacturer) == (
        "/dev/ttyUSB0",
        "JTAG",
        "SIPEED",
    )
    assert (device.vid, device.pid, device.serial_number) == (0x0403, 0x6010, "A")


def test_a_port_without_usb_has_no_ids_and_long_texts_are_cut() -> None:
    device = serial_device(port(description="x" * 9999))
    assert len(device.description) == 256
    assert (device.vid, device.manufacturer) == (None, None)


def test_listing_writes_to_no_port() -> None:
    master, slave = pty.openpty()
    try:
        os.set_blocking(master, False)
        list_serial_devices()
        try:
            written = os.read(master, 100)
        except BlockingIOError:
            written = b""
        assert written == b""
    finally:
        os.close(master)
        os.close(slave)
