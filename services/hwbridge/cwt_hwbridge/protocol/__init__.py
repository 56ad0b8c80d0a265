"""The host's side of the serial link: bytes in, events out, and no input or output of its own.

`docs/hardware-link.md` is the specification. The caller reads and writes the line and tells the
time; `Link` says what to send, what happened, and until when to wait.
"""

from cwt_hwbridge.protocol.events import (
    Answered,
    Closed,
    Event,
    Fault,
    Greeted,
    RateKept,
    Refused,
    SwitchRate,
    WasReset,
)
from cwt_hwbridge.protocol.framing import Deframer, Frame, encode_frame
from cwt_hwbridge.protocol.link import Link, LinkTiming
from cwt_hwbridge.protocol.states import LinkState, LocalProtocolError

__all__ = [
    "Answered",
    "Closed",
    "Deframer",
    "Event",
    "Fault",
    "Frame",
    "Greeted",
    "Link",
    "LinkState",
    "LinkTiming",
    "LocalProtocolError",
    "RateKept",
    "Refused",
    "SwitchRate",
    "WasReset",
    "encode_frame",
]
