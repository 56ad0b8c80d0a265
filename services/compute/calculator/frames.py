"""What a service and its calculators say to each other over a pipe: a kind, a length, a body."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

__all__ = ["HEADER_BYTES", "Frame", "Kind", "header_of", "packed"]

_HEADER = struct.Struct("<cQ")
HEADER_BYTES = _HEADER.size


class Kind(Enum):
    """What is in a frame."""

    #: To the calculator: a ``JobWork`` with a task, or a ``SimulateRequest``; in msgpack.
    TASK = b"t"
    SHARE = b"s"
    #: From it: the ``JobOutcome`` or the ``SimulateReply``, in msgpack.
    DONE = b"d"
    #: An ``ErrorBody``, in msgpack: the request's own fault, which would be met again.
    REFUSED = b"r"
    #: Text: a fault of the program, with where it happened, for the log.
    FAULT = b"f"


@dataclass(frozen=True)
class Frame:
    """One message on the pipe."""

    kind: Kind
    body: bytes


def packed(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return _HEADER.pack(frame.kind.value, len(frame.body)) + frame.body


def header_of(data: bytes) -> tuple[Kind, int]:
    """Return the kind of a frame and the length of its body, from its first `HEADER_BYTES`."""
    kind, length = _HEADER.unpack(data)
    return Kind(kind), length
