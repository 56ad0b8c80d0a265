"""Encoding of messages between a service, its fork server and its compute processes.

Requests and answers are messages: kind, length of the body, body. The fork server reports two
numbers of each compute process: its ID when it starts, and its exit code when it ends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from cwt_schemas.codec import ContentType, decode
from cwt_schemas.errors import ContractError, ErrorBody

__all__ = ["HEADER_BYTES", "NUMBER", "IpcKind", "IpcMessage", "header", "header_of", "refusal_of"]

_HEADER = struct.Struct("<cQ")
HEADER_BYTES = _HEADER.size
#: A process ID, or an exit code, which is negative for a signal.
NUMBER = struct.Struct("<i")


class IpcKind(Enum):
    """Kind of a message, which determines the content of its body."""

    #: To the compute process: a ``JobWork`` with a task, a ``SimulateRequest`` or a
    #: ``FitRequest``; in msgpack.
    TASK = b"t"
    SHARE = b"s"
    FIT = b"m"
    #: From it: the ``JobOutcome``, the ``SimulateReply`` or the ``FitReply``, in msgpack.
    DONE = b"d"
    #: An ``ErrorBody``, in msgpack: the request is invalid, and a retry would fail too.
    REFUSED = b"r"
    #: Text: the traceback of an unexpected error, for the log.
    FAULT = b"f"


@dataclass(frozen=True)
class IpcMessage:
    """A request or an answer."""

    kind: IpcKind
    body: bytes


def header(message: IpcMessage) -> bytes:
    """Return the bytes that precede the body of a message."""
    return _HEADER.pack(message.kind.value, len(message.body))


def header_of(data: bytes) -> tuple[IpcKind, int]:
    """Return the kind of a message and the length of its body, from its first `HEADER_BYTES`."""
    kind, length = _HEADER.unpack(data)
    return IpcKind(kind), length


def refusal_of(message: IpcMessage) -> ContractError:
    """Return the error in a message of kind `REFUSED`."""
    return decode(ErrorBody, message.body, ContentType.MSGPACK).exception()
