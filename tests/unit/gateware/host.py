"""A host of the link, as plain as can be: independent of the bridge's and of the gateware."""

from __future__ import annotations

import zlib
from typing import Protocol

from cobs import cobs

from cwt_gateware.sim.engine import Engine
from cwt_schemas.hwlink import NAK, REPLY, MessageType
from cwt_schemas.hwlink_layouts import Header, HelloReply, HelloRequest, Nak

HELLO = HelloRequest().pack()

#: More than any request takes, and how often we look.
CLOCKS = 400_000
STRIDE = 256


def frame(kind: int, seq: int, payload: bytes = b"", job: int = 0, version: int = 1) -> bytes:
    """The encoded request, with its delimiter."""
    body = Header(version=version, type=kind, seq=seq, job=job).pack() + payload
    return bytes(cobs.encode(body + zlib.crc32(body).to_bytes(4, "little"))) + b"\0"


def opened(encoded: bytes) -> tuple[Header, bytes]:
    """Header and payload of one encoded frame, with or without its delimiter."""
    body = cobs.decode(encoded.removesuffix(b"\0"))
    assert zlib.crc32(body[:-4]).to_bytes(4, "little") == body[-4:]
    return Header.unpack(body), body[Header.FORMAT.size : -4]


class Asking(Protocol):
    """Sends bytes, returns what came back."""

    def __call__(self, sent: bytes) -> bytes: ...


class Host:
    """Numbers requests, and looks at replies."""

    def __init__(self, ask: Asking) -> None:
        self.ask = ask
        self.seq = 0

    def hello(self, seq: int = 7) -> HelloReply:
        """Begin a session."""
        header, payload = opened(self.ask(frame(MessageType.HELLO, seq, HELLO)))
        assert header == Header(type=MessageType.HELLO | REPLY, seq=seq)
        self.seq = seq + 1
        return HelloReply.unpack(payload)

    def request(self, kind: int, payload: bytes = b"", job: int = 0) -> bytes | Nak:
        """Send the next request; its reply's payload, or the refusal."""
        seq, self.seq = self.seq, (self.seq + 1) % 2**16
        header, answer = opened(self.ask(frame(kind, seq, payload, job)))
        assert (header.seq, header.job) == (seq, job)
        if header.type == NAK:
            return Nak.unpack(answer)
        assert header.type == kind | REPLY
        return answer


def asking(engine: Engine) -> Asking:
    """Ask a simulator directly, for one reply."""

    def ask(sent: bytes) -> bytes:
        reply = b""
        for _ in range(0, CLOCKS, STRIDE):
            taken, made, *_ = engine.run(sent, STRIDE)
            sent = sent[taken:]
            reply += made
            if reply.endswith(b"\0"):
                return reply
        raise AssertionError(f"no reply in {CLOCKS} clocks, but {reply!r}")

    return ask
