"""COBS and CRC as the specification's words have them, byte by byte."""

from __future__ import annotations

import binascii


def stuff(data: bytes) -> bytes:
    """Return `data` without zeros, and a zero at the end."""
    out = bytearray()
    for block in data.split(b"\x00"):
        while len(block) >= 254:
            out += b"\xff" + block[:254]
            block = block[254:]
        out += bytes([len(block) + 1]) + block
    return bytes(out) + b"\x00"


def unstuff(data: bytes) -> bytes | None:
    """Decode stuffed bytes without the final zero; None if they are not valid."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        block = data[at + 1 : at + code]
        if code == 0 or len(block) != code - 1:
            return None
        at += code
        out += block
        if code != 0xFF and at < len(data):
            out.append(0)
    return bytes(out)


def seal(body: bytes) -> bytes:
    """Return a frame as it travels."""
    return stuff(body + binascii.crc32(body).to_bytes(4, "little"))


def unseal(piece: bytes) -> bytes | None:
    """Return header and payload of a frame; None if it is not valid."""
    frame = unstuff(piece)
    if frame is None or not 10 <= len(frame) <= 250:
        return None
    body, crc = frame[:-4], int.from_bytes(frame[-4:], "little")
    return body if binascii.crc32(body) == crc else None
