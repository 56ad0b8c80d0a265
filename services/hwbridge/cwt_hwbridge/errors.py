"""What can go wrong between the bridge and a device, and what follows from it.

Three kinds: the port (nothing can be said to a device), the device (it does not do what this
project's devices do), and the caller (the time is over, or the operation is not wanted any more).
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
    """Something went wrong with a device; the message is fit for a stranger on the bus."""

    #: Whether the line is of no use any more: it is closed, and opened afresh later.
    breaks_line: ClassVar[bool] = False


class PortError(DeviceError):
    """The port cannot be opened."""

    breaks_line = True


class PortAbsentError(PortError):
    """There is no such port at the moment."""


class PortBusyError(PortError):
    """Another program has the port."""


class PortForbiddenError(PortError):
    """The port may not be opened by this user."""


class LineLostError(DeviceError):
    """The device was unplugged, or the operating system took the port away."""

    breaks_line = True


class NoAnswerError(DeviceError):
    """Nothing answers on the port."""

    breaks_line = True


class WrongDeviceError(DeviceError):
    """Something answers, and it is no device of this kind, or speaks another version."""

    breaks_line = True


class MalformedAnswerError(DeviceError):
    """The device answers, and not what a device of this kind can answer."""

    breaks_line = True


class LinkDownError(DeviceError):
    """The device stopped answering, or only garbage comes."""

    breaks_line = True


class ResetError(DeviceError):
    """The device was reset and has forgotten what it was doing; the same may work again."""


class RefusedError(DeviceError):
    """The device refused a request; `code` is the reason's name in its protocol."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class UnsupportedRequestError(DeviceError):
    """The device has no such operation, or the request is too large for it."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class DeadlineExceededError(DeviceError):
    """The caller's deadline is over."""


class OperationCancelledError(DeviceError):
    """The caller does not want the operation any more."""


@contextmanager
def parsing_answer() -> Iterator[None]:
    """Turn errors of parsing an answer, inside, into an error of the device.

    Raises
    ------
    MalformedAnswerError
        It has another length or form than answers to this have, or numbers that cannot be.
    """
    try:
        yield
    except (ValueError, LookupError, ArithmeticError, struct.error) as error:
        raise MalformedAnswerError(
            "the device's answers are not valid: check that it runs the gateware or program of "
            "this release"
        ) from error
