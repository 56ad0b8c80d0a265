"""A port that takes nothing any more does not hold up the port's thread for ever."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Iterator

import pytest
import serial

from cwt_hwbridge.errors import LineLostError
from cwt_hwbridge.serial_link import SerialLine, open_serial_line


@pytest.fixture
def port() -> Iterator[str]:
    """A terminal whose far end reads nothing."""
    far, near = pty.openpty()
    tty.setraw(near)
    yield os.ttyname(near)
    os.close(far)
    os.close(near)


def test_write_timeout_is_reported_as_lost_line(port: str) -> None:
    line = open_serial_line(port, write_timeout_s=0.2)
    with pytest.raises(LineLostError, match=port):
        line.write(bytes(1_000_000))
    with pytest.raises(LineLostError):
        line.read(0.0)


class NeverEmpty(serial.Serial):
    """Has bytes that do not leave, as with a USB device that hangs."""

    out_waiting = 5

    def flush(self) -> None:
        raise AssertionError("this would wait for ever")


def test_a_rate_is_not_waited_for_on_a_port_whose_bytes_do_not_leave(port: str) -> None:
    line = SerialLine(NeverEmpty(port, 115_200, timeout=0), port, write_timeout_s=0.2)
    with pytest.raises(LineLostError, match=port):
        line.set_baud(1_000_000)
