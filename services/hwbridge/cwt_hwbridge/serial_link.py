"""A serial port as a `Line`, with pyserial; the only module that opens ports."""

from __future__ import annotations

import errno
import os
import select
import time
from typing import NoReturn

import serial

from cwt_hwbridge.errors import (
    LineLostError,
    PortAbsentError,
    PortBusyError,
    PortError,
    PortForbiddenError,
)
from cwt_schemas.hwlink import DEFAULT_BAUD

__all__ = ["SerialLine", "open_serial_line"]

#: Read size: more than arrives between two reads at 3 Mbaud.
READ_BYTES = 65_536
#: Time for written bytes to be sent; a port that accepts nothing for this time is unusable.
WRITE_TIMEOUT_S = 2.0
DRAIN_LOOK_S = 0.001

_ABSENT = {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_BUSY = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}


def open_serial_line(port: str, *, write_timeout_s: float = WRITE_TIMEOUT_S) -> SerialLine:
    """Open `port` at the default rate, exclusively for this process.

    Raises
    ------
    PortAbsentError, PortBusyError, PortForbiddenError, PortError
        The port cannot be opened; the message has the reason and what to do.
    """
    try:
        opened = serial.Serial(
            port, DEFAULT_BAUD, timeout=0, write_timeout=write_timeout_s, exclusive=True
        )
    except (serial.SerialException, OSError, ValueError) as error:
        _refuse(port, error)
    return SerialLine(opened, port, write_timeout_s)


class SerialLine:
    """An open port; see `cwt_hwbridge.line.Line`."""

    def __init__(
        self, opened: serial.Serial, port: str, write_timeout_s: float = WRITE_TIMEOUT_S
    ) -> None:
        self._serial = opened
        self._port = port
        self._write_timeout_s = write_timeout_s

    @property
    def baud(self) -> int:
        """The current rate, baud."""
        return int(self._serial.baudrate)

    def read(self, timeout_s: float) -> bytes:
        """Return the received bytes; wait up to `timeout_s` for the first one."""
        try:
            port = self._serial.fileno()
            data = _waiting(port)
            if data or not select.select([port], [], [], max(timeout_s, 0.0))[0]:
                return data
            data = _waiting(port)
        except (serial.SerialException, OSError, ValueError) as error:
            self._lost(error)
        if not data:
            self._lost(EOFError("the port reports data to read but returns none"))
        return data

    def write(self, data: bytes) -> None:
        """Pass all of `data` to the operating system."""
        try:
            # Most data is accepted immediately, without pyserial's waiting.
            if rest := data[_taken(self._serial.fileno(), data) :]:
                self._serial.write(rest)
        except (serial.SerialException, OSError, ValueError) as error:
            self._lost(error)

    def set_baud(self, baud: int) -> None:
        """Change the rate after all written bytes were sent."""
        try:
            self._drain()
            self._serial.baudrate = baud
        except (serial.SerialException, OSError, ValueError) as error:
            self._lost(error)

    def close(self) -> None:
        """Close the port."""
        self._serial.close()

    def _drain(self) -> None:
        """Wait with a timeout for all bytes to be sent; ``tcdrain`` blocks on a stuck port."""
        ends = time.monotonic() + self._write_timeout_s
        while self._serial.out_waiting:
            if time.monotonic() > ends:
                raise serial.SerialTimeoutException(
                    f"still there after {self._write_timeout_s:g} s"
                )
            time.sleep(DRAIN_LOOK_S)
        self._serial.flush()

    def _lost(self, error: Exception) -> NoReturn:
        self.close()
        if isinstance(error, serial.SerialTimeoutException):
            raise LineLostError(
                f"the port {self._port} accepts no more data: unplug the device, and plug it in "
                "again"
            ) from error
        raise LineLostError(
            f"the port {self._port} is gone: check that the device is plugged in"
        ) from error


def _waiting(port: int) -> bytes:
    """Return the received bytes, without waiting."""
    try:
        return os.read(port, READ_BYTES)
    except BlockingIOError:
        return b""


def _taken(port: int, data: bytes) -> int:
    """Write without waiting; return the number of bytes that the operating system accepted."""
    try:
        return os.write(port, data)
    except BlockingIOError:
        return 0


def _refuse(port: str, error: Exception) -> NoReturn:
    number = getattr(error, "errno", None)
    if number in _ABSENT:
        raise PortAbsentError(
            f"there is no port {port}: check that the device is plugged in"
        ) from error
    if number in _FORBIDDEN:
        raise PortForbiddenError(
            f"no permission to open the port {port}: add the bridge's user to the port's group, "
            "often dialout"
        ) from error
    if number in _BUSY:
        raise PortBusyError(
            f"the port {port} is in use by another program: close it there"
        ) from error
    raise PortError(
        f"cannot use {port} as a serial port: set another in CWT_HW_PORTS, such as /dev/ttyUSB1"
    ) from error
