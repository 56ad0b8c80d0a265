"""Requests in flight: their numbers, limits and retransmission."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from cwt_hwbridge.protocol.framing import encode_frame
from cwt_schemas.hwlink import CRC_BYTES, HEADER_BYTES

__all__ = ["Request", "Window"]

#: Numbers are u16.
SEQUENCE = 1 << 16
#: Bytes of a frame on the wire in addition to its payload: header, CRC, COBS byte, delimiter.
ENVELOPE_BYTES = HEADER_BYTES + CRC_BYTES + 2


@dataclass(slots=True)
class Request:
    """One request in flight; `wire` has the bytes to send, also for retransmission."""

    type: int
    seq: int
    job: int
    wire: bytes
    #: Largest size of the reply, bytes.
    reply_bytes: int
    #: Whether the request was repeated before its timeout, which happens once.
    hurried: bool = False


class Window:
    """Unanswered requests in the order of their numbers; the device can hold `size` of them.

    Parameters
    ----------
    first
        Number of the first request.
    size, credit
        Limits on unanswered requests, and on their bytes.
    """

    def __init__(self, first: int, size: int, credit: int) -> None:
        self._next = first % SEQUENCE
        self._size = size
        self._credit = credit
        self._requests: deque[Request] = deque()
        self._out_bytes = 0
        self._back_bytes = 0

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def oldest(self) -> Request | None:
        """The request to be answered next."""
        return self._requests[0] if self._requests else None

    @property
    def bytes_out(self) -> int:
        """Bytes of unanswered requests and of the replies to them."""
        return self._out_bytes + self._back_bytes

    def takes(self, payload_bytes: int) -> bool:
        """Return whether another request with a payload of this size may be sent."""
        wire = payload_bytes + ENVELOPE_BYTES
        return len(self._requests) < self._size and self._out_bytes + wire <= self._credit

    def push(self, type_: int, job: int, payload: bytes, reply_payload_bytes: int) -> Request:
        """Assign a number to a request, and keep it until it is answered."""
        wire = encode_frame(type_, self._next, job, payload)
        request = Request(type_, self._next, job, wire, reply_payload_bytes + ENVELOPE_BYTES)
        self._requests.append(request)
        self._next = (self._next + 1) % SEQUENCE
        self._out_bytes += len(wire)
        self._back_bytes += request.reply_bytes
        return request

    def pop(self) -> Request:
        """Remove and return the oldest request, which was answered."""
        request = self._requests.popleft()
        self._out_bytes -= len(request.wire)
        self._back_bytes -= request.reply_bytes
        return request

    def is_later(self, seq: int) -> bool:
        """Return whether `seq` is in flight and not the oldest."""
        return any(each.seq == seq for each in list(self._requests)[1:])

    def again(self) -> bytes:
        """Return the bytes of all requests in flight, for retransmission."""
        return b"".join(request.wire for request in self._requests)
