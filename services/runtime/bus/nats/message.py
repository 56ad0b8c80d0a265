"""The driver's messages as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nats.aio.msg import Msg

from services.runtime.bus import Message, StoredMessage

__all__ = ["AckSubject", "driver_headers", "message_of", "stored_message_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AckSubject:
    """What JetStream writes into the reply subject of a delivered message (ADR-15)."""

    stream: str
    deliveries: int
    stream_seq: int
    consumer_seq: int
    stored_ns: int
    pending: int

    @classmethod
    def parse(cls, reply: str) -> AckSubject:
        """Read ``$JS.ACK[.<domain>.<account>].<stream>.<consumer>.<five numbers>[.<token>]``."""
        tokens = reply.split(".")
        fields = tokens[2:] if len(tokens) == 9 else tokens[4:]
        return cls(
            stream=fields[0],
            deliveries=int(fields[2]),
            stream_seq=int(fields[3]),
            consumer_seq=int(fields[4]),
            stored_ns=int(fields[5]),
            pending=int(fields[6]),
        )


def message_of(msg: Msg) -> Message:
    """Return a core message."""
    return Message(
        subject=msg.subject, data=msg.data, headers=msg.headers or {}, reply=msg.reply or None
    )


def stored_message_of(msg: Msg, place: AckSubject) -> StoredMessage:
    """Return a message that a JetStream consumer delivered, as its reply subject places it."""
    return StoredMessage(
        message=Message(subject=msg.subject, data=msg.data, headers=msg.headers or {}),
        seq=place.stream_seq,
        stored_ns=place.stored_ns,
        pending=place.pending,
    )


def driver_headers(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return the headers as the driver wants them."""
    return dict(headers) if headers else None
