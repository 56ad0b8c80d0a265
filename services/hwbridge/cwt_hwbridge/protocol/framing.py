"""Encode and decode frames: a CRC, COBS, and a zero byte as delimiter."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from cobs import cobs

from cwt_schemas.hwlink import (
    CRC_BYTES,
    DELIMITER,
    HEADER_BYTES,
    MAX_ENCODED_BYTES,
    MIN_FRAME_BYTES,
    PROTOCOL_VERSION,
)

__all__ = ["Deframer", "Frame", "encode_frame"]

_END = bytes([DELIMITER])
_HEADER = Struct("<BBHH")
_CRC = Struct("<I")


class Frame(NamedTuple):
    """One frame with a valid CRC."""

    version: int
    type: int
    seq: int
    job: int
    payload: bytes


def encode_frame(type_: int, seq: int, job: int, payload: bytes) -> bytes:
    """Return the bytes on the wire, including the delimiter at the end."""
    body = _HEADER.pack(PROTOCOL_VERSION, type_, seq, job) + payload
    encoded: bytes = cobs.encode(body + _CRC.pack(zlib.crc32(body)))
    return encoded + _END


class Deframer:
    """Split received bytes into frames, independently of their division into pieces.

    Invalid frames are counted in `bad` and skipped: on a serial line they are noise, and the side
    that misses a frame requests it again. At most the bytes of one frame are buffered.
    """

    def __init__(self) -> None:
        #: Number of invalid frames.
        self.bad = 0
        self._rest = b""
        self._overlong = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes, in order."""
        *whole, rest = (self._rest + data).split(_END)
        for piece in whole:
            frame = None if self._overlong else _decoded(piece)
            if frame is not None:
                yield frame
            elif piece or self._overlong:
                self.bad += 1
            self._overlong = False
        if len(rest) >= MAX_ENCODED_BYTES:
            rest, self._overlong = b"", True
        self._rest = rest


def _decoded(encoded: bytes) -> Frame | None:
    """Return the decoded frame, or None if it is not valid."""
    if not MIN_FRAME_BYTES < len(encoded) < MAX_ENCODED_BYTES:
        return None
    try:
        body: bytes = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    if len(body) < MIN_FRAME_BYTES or _CRC.unpack_from(body, len(body) - CRC_BYTES)[0] != (
        zlib.crc32(body[:-CRC_BYTES])
    ):
        return None
    version, type_, seq, job = _HEADER.unpack_from(body)
    return Frame(version, type_, seq, job, body[HEADER_BYTES:-CRC_BYTES])
