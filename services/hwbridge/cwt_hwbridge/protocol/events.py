"""The events of the link."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cwt_schemas.hwlink import NakCode
from cwt_schemas.hwlink_layouts import HelloReply

__all__ = [
    "Answered",
    "Closed",
    "Event",
    "Fault",
    "Greeted",
    "RateKept",
    "Refused",
    "SwitchRate",
    "WasReset",
]


class Fault(StrEnum):
    """The reason why a link is down."""

    #: No bytes arrived.
    SILENT = "silent"
    #: Bytes arrived, but no valid frame.
    GARBAGE = "garbage"
    #: Frames arrived, but no answer.
    UNANSWERED = "unanswered"
    #: The other side is not this project's gateware.
    STRANGER = "stranger"
    #: The other side has another version of the protocol.
    VERSION = "version"


@dataclass(frozen=True)
class Greeted:
    """HELLO was answered; requests can be sent."""

    hello: HelloReply


@dataclass(frozen=True)
class Answered:
    """The request with this number was executed."""

    seq: int
    payload: bytes


@dataclass(frozen=True)
class Refused:
    """The request with this number was refused, and had no effect."""

    seq: int
    code: NakCode


@dataclass(frozen=True)
class SwitchRate:
    """Change the line's rate to `clock_hz` / `divisor` before sending anything else."""

    divisor: int


@dataclass(frozen=True)
class RateKept:
    """The line works at the rate of this divisor: the requested one or the previous one."""

    divisor: int


@dataclass(frozen=True)
class WasReset:
    """The device was reset and lost all requests in flight; greet it again."""


@dataclass(frozen=True)
class Closed:
    """The link is down: greet again, or give up. Requests in flight will not be answered."""

    fault: Fault
    #: The greeting of the other side, if that is the reason.
    detail: str = ""


Event = Greeted | Answered | Refused | SwitchRate | RateKept | WasReset | Closed
