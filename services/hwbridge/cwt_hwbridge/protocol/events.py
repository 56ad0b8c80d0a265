"""What the link has to tell its caller."""

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
    """Why a link is down, and whose fault that is."""

    #: Not one byte came.
    SILENT = "silent"
    #: Bytes came, and none of them made a frame.
    GARBAGE = "garbage"
    #: Frames came, and none of them answered.
    UNANSWERED = "unanswered"
    #: It says something else than this project's gateware.
    STRANGER = "stranger"
    #: It speaks another version of the protocol.
    VERSION = "version"


@dataclass(frozen=True)
class Greeted:
    """HELLO was answered; requests can be sent."""

    hello: HelloReply


@dataclass(frozen=True)
class Answered:
    """The request of this number was done."""

    seq: int
    payload: bytes


@dataclass(frozen=True)
class Refused:
    """The request of this number was refused, and changed nothing."""

    seq: int
    code: NakCode


@dataclass(frozen=True)
class SwitchRate:
    """Change the line's rate now, to `clock_hz` / `divisor`, before anything else is sent."""

    divisor: int


@dataclass(frozen=True)
class RateKept:
    """The line works at the rate of this divisor, which is the one asked for or the one before."""

    divisor: int


@dataclass(frozen=True)
class WasReset:
    """The device has forgotten everything, requests under way included; greet it again."""


@dataclass(frozen=True)
class Closed:
    """The link is down: greet again, or give up. Requests under way will not be answered."""

    fault: Fault
    #: What the other side said, where that is the fault.
    detail: str = ""


Event = Greeted | Answered | Refused | SwitchRate | RateKept | WasReset | Closed
