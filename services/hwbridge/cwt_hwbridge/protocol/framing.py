"""Frames and the bytes that they travel as: COBS, a CRC, and a zero at the end."""

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
    """One frame whose CRC is right."""

    version: int
    type: int
    seq: int
    job: int
    payload: bytes


def encode_frame(type_: int, seq: int, job: int, payload: bytes) -> bytes:
    """Return the bytes on the wire, the delimiter at the end included."""
    body = _HEADER.pack(PROTOCOL_VERSION, type_, seq, job) + payload
    encoded: bytes = cobs.encode(body + _CRC.pack(zlib.crc32(body)))
    return encoded + _END


class Deframer:
    """Cuts what arrives into frames, however it was cut on the way.

    What cannot be read is counted in `bad` and skipped: on a serial line it is noise, and what was
    lost is asked for again by whoever misses it. It holds no more than one frame's bytes.
    """

    def __init__(self) -> None:
        #: Frames that could not be read so far.
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
    """Return the frame, or None for anything else."""
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
