"""A serial port as a `Line`, by pyserial: the one place that opens ports."""

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

#: More than arrives between two looks at the port, at 3 Mbaud.
READ_BYTES = 65_536
#: For all that is written at a time to leave; a port that takes nothing for so long is of no use.
WRITE_TIMEOUT_S = 2.0
DRAIN_LOOK_S = 0.001

_ABSENT = {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_BUSY = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}


def open_serial_line(port: str, *, write_timeout_s: float = WRITE_TIMEOUT_S) -> SerialLine:
    """Open `port` at the default rate for this process alone.

    Raises
    ------
    PortAbsentError, PortBusyError, PortForbiddenError, PortError
        It cannot be opened; the message says why, and what to do.
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
        """The present rate."""
        return int(self._serial.baudrate)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived; wait up to `timeout_s` for the first byte."""
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
        """Hand all of `data` to the operating system."""
        try:
            # What goes at once, as most does, needs none of pyserial's waiting.
            if rest := data[_taken(self._serial.fileno(), data) :]:
                self._serial.write(rest)
        except (serial.SerialException, OSError, ValueError) as error:
            self._lost(error)

    def set_baud(self, baud: int) -> None:
        """Change the rate once all that was written has left."""
        try:
            self._drain()
            self._serial.baudrate = baud
        except (serial.SerialException, OSError, ValueError) as error:
            self._lost(error)

    def close(self) -> None:
        """Give the port back."""
        self._serial.close()

    def _drain(self) -> None:
        """Wait for what was written; the operating system alone waits for a stuck port for ever."""
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
    """Return what has arrived, without waiting."""
    try:
        return os.read(port, READ_BYTES)
    except BlockingIOError:
        return b""


def _taken(port: int, data: bytes) -> int:
    """Return how many bytes of `data` the operating system takes, without waiting."""
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
