"""Messages between a service, its fork server and its calculators, as bytes.

A request and its answer are frames: a kind, the length of the body, the body. The fork server
reports two numbers of each calculator: its process ID when it starts, its exit code when it ends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

__all__ = ["HEADER_BYTES", "NUMBER", "Frame", "Kind", "header", "header_of"]

_HEADER = struct.Struct("<cQ")
HEADER_BYTES = _HEADER.size
#: A process ID, or an exit code, which is negative for a signal.
NUMBER = struct.Struct("<i")


class Kind(Enum):
    """Content of a frame."""

    #: To the calculator: a ``JobWork`` with a task, or a ``SimulateRequest``; in msgpack.
    TASK = b"t"
    SHARE = b"s"
    #: From it: the ``JobOutcome`` or the ``SimulateReply``, in msgpack.
    DONE = b"d"
    #: An ``ErrorBody``, in msgpack: the request is at fault, and a retry would fail again.
    REFUSED = b"r"
    #: Text: the traceback of a fault of the program, for the log.
    FAULT = b"f"


@dataclass(frozen=True)
class Frame:
    """A request or an answer."""

    kind: Kind
    body: bytes


def header(frame: Frame) -> bytes:
    """Return the bytes that precede the body of a frame."""
    return _HEADER.pack(frame.kind.value, len(frame.body))


def header_of(data: bytes) -> tuple[Kind, int]:
    """Return the kind of a frame and the length of its body, from its first `HEADER_BYTES`."""
    kind, length = _HEADER.unpack(data)
    return Kind(kind), length
