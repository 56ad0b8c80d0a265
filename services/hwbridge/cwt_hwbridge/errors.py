"""Errors between the bridge and a device.

Three kinds: errors of the port (no communication is possible), of the device (it does not behave
like this project's devices), and of the caller (the deadline passed, or the operation was
cancelled).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

__all__ = [
    "DeadlineExceededError",
    "DeviceError",
    "LineLostError",
    "LinkDownError",
    "MalformedAnswerError",
    "NoAnswerError",
    "OperationCancelledError",
    "PortAbsentError",
    "PortBusyError",
    "PortError",
    "PortForbiddenError",
    "RefusedError",
    "ResetError",
    "UnsupportedRequestError",
    "WrongDeviceError",
    "parsing_answer",
]


class DeviceError(Exception):
    """An error of a device; the message can be sent to any client on the bus."""

    #: Whether the line is unusable: it is closed, and reopened later.
    breaks_line: ClassVar[bool] = False


class PortError(DeviceError):
    """The port cannot be opened."""

    breaks_line = True


class PortAbsentError(PortError):
    """The port does not exist at the moment."""


class PortBusyError(PortError):
    """Another program uses the port."""


class PortForbiddenError(PortError):
    """The user may not open the port."""


class LineLostError(DeviceError):
    """The device was unplugged, or the operating system took the port away."""

    breaks_line = True


class NoAnswerError(DeviceError):
    """Nothing answers on the port."""

    breaks_line = True


class WrongDeviceError(DeviceError):
    """The port has another kind of device, or one with another protocol version."""

    breaks_line = True


class MalformedAnswerError(DeviceError):
    """The device sent an answer that is not valid for this kind of device."""

    breaks_line = True


class LinkDownError(DeviceError):
    """The device stopped answering, or sends only garbage."""

    breaks_line = True


class ResetError(DeviceError):
    """The device was reset and lost its operation; a retry may succeed."""


class RefusedError(DeviceError):
    """The device refused a request; `code` is the reason's name in its protocol."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class UnsupportedRequestError(DeviceError):
    """The device does not support the operation, or the request is too large for it."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class DeadlineExceededError(DeviceError):
    """The caller's deadline has passed."""


class OperationCancelledError(DeviceError):
    """The caller cancelled the operation."""


@contextmanager
def parsing_answer() -> Iterator[None]:
    """Convert errors from parsing an answer in this context to a device error.

    Raises
    ------
    MalformedAnswerError
        The answer has an unexpected length or form, or impossible numbers.
    """
    try:
        yield
    except (ValueError, LookupError, ArithmeticError, struct.error) as error:
        raise MalformedAnswerError(
            "the device's answers are not valid: check that it runs the gateware or program of "
            "this release"
        ) from error
