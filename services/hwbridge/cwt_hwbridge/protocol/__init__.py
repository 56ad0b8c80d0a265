"""The host's side of the serial link, sans I/O: bytes in, events and bytes to send out.

`docs/hardware-link.md` is the specification. The caller reads and writes the line and supplies the
time; `Link` returns the bytes to send, the events, and the deadline of the next wait.
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
