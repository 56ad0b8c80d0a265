"""Translate messages and errors of the driver to those of the bus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg

from cwt_runtime.bus import Message, StoredMessage
from cwt_runtime.bus.errors import (
    BusClosedError,
    BusError,
    BusTimeoutError,
    BusUnreachableError,
    ForbiddenError,
    NoRespondersError,
    NotStoredError,
    NotStoredYetError,
    RevisionConflictError,
    StorageFullError,
)
from cwt_runtime.bus.nats.client import ForbiddenSubjectError, ServiceRefusalError

__all__ = [
    "AckSubject",
    "bus_error",
    "driver_errors",
    "driver_headers",
    "message_of",
    "stored_message_of",
]

#: JetStream API error codes, from the server's errors.json.
INSUFFICIENT_RESOURCES = 10023
STREAM_STORE_FAILED = 10077
MAXIMUM_REACHED = {INSUFFICIENT_RESOURCES, 10047, STREAM_STORE_FAILED, 10122}

#: Exceptions of the driver for a reply that is not from a server, such as one that is not JSON.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
#: Prefix of the reply subject of a message that a consumer delivers.
_ACK_PREFIX = "$JS.ACK."
#: Maximum number of digits in it, of a sequence or a time.
_MAX_DIGITS = 20

#: A stream or consumer whose node is offline: another node takes over, or the reader creates a new
#: consumer.
OFFLINE = {10118, 10119, 10194, 10195}
#: A message with the same id is being replicated, sent before a connection was lost. A retry is a
#: duplicate of it, or is stored if the first one was not.
BEING_STORED = {10158}

#: Too few nodes of a cluster have joined, or are online, for the replicas of a new stream.
NO_PEERS = {10005}

#: The newest message of the subject is not the expected one.
WRONG_LAST_SEQUENCE = {10071, 10164}

#: Status of a service that a retry may change: overloaded, unavailable, timeout.
TRANSIENT_STATUS = {"429", "503", "504"}

#: Driver class to bus class; the first match applies.
_TABLE: tuple[tuple[type[Exception], type[BusError]], ...] = (
    (ForbiddenSubjectError, ForbiddenError),
    (nats.js.errors.KeyWrongLastSequenceError, RevisionConflictError),
    (nats.errors.NoRespondersError, NoRespondersError),
    (nats.errors.ConnectionClosedError, BusClosedError),
    (nats.errors.ConnectionDrainingError, BusClosedError),
    (nats.errors.TimeoutError, BusTimeoutError),
    (nats.errors.OutboundBufferLimitError, BusUnreachableError),
    (nats.errors.ConnectionReconnectingError, BusUnreachableError),
    (nats.errors.StaleConnectionError, BusUnreachableError),
    (nats.errors.MaxPayloadError, NotStoredError),
    # No stream replied: JetStream is starting, or has no leader at the moment.
    (nats.js.errors.NoStreamResponseError, BusUnreachableError),
    (nats.js.errors.ServiceUnavailableError, BusUnreachableError),
)

#: Messages that replace unhelpful ones of the driver.
_ADVICE: dict[type[Exception], str] = {
    nats.js.errors.NoStreamResponseError: (
        "no stream of the server takes this subject: JetStream is starting, no ingest has run yet, "
        "or samples of this name are rejected (not defined, or above the share of the signal log)"
    ),
    nats.js.errors.ServiceUnavailableError: (
        "JetStream does not answer: it is starting, has no leader, or is not enabled (start the "
        "server with nats-server -js)"
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AckSubject:
    """The parsed reply subject of a message delivered by JetStream (ADR-15)."""

    stream: str
    consumer: str
    deliveries: int
    stream_seq: int
    consumer_seq: int
    stored_ns: int
    pending: int

    @classmethod
    def parse(cls, reply: str) -> AckSubject | None:
        """Read ``$JS.ACK[.<domain>.<account>].<stream>.<consumer>.<five numbers>[.<token>]``.

        Return None for any other subject, because any client may publish to an inbox.
        """
        if not reply.startswith(_ACK_PREFIX):
            return None
        tokens = reply.split(".")
        stream, consumer, *numbers = tokens[2:9] if len(tokens) == 9 else tokens[4:11]
        if len(numbers) != 5 or not all(map(_is_number, numbers)):
            return None
        deliveries, stream_seq, consumer_seq, stored_ns, pending = map(int, numbers)
        return cls(
            stream=stream,
            consumer=consumer,
            deliveries=deliveries,
            stream_seq=stream_seq,
            consumer_seq=consumer_seq,
            stored_ns=stored_ns,
            pending=pending,
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def message_of(msg: Msg) -> Message:
    """Return a driver message as a core message."""
    return Message(
        subject=msg.subject, data=msg.data, headers=msg.headers or {}, reply=msg.reply or None
    )


def stored_message_of(msg: Msg, place: AckSubject) -> StoredMessage:
    """Return a message delivered by a JetStream consumer, with its position."""
    return StoredMessage(
        message=Message(subject=msg.subject, data=msg.data, headers=msg.headers or {}),
        seq=place.stream_seq,
        stored_ns=place.stored_ns,
        pending=place.pending,
    )


def driver_headers(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return headers in the form that the driver expects."""
    return dict(headers) if headers else None


@contextmanager
def driver_errors() -> Iterator[None]:
    """Translate driver errors raised inside the context to `BusError`."""
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        raise bus_error(error) from error
    except _UNREADABLE as error:
        raise BusUnreachableError(
            "cannot read the reply to a request: it has an unexpected format; retry it"
        ) from error


def bus_error(error: Exception) -> BusError:
    """Return the bus error for a driver error."""
    # Some of the driver's API errors lack the fields of the API.
    code = getattr(error, "err_code", None)
    description = getattr(error, "description", None)
    if code in MAXIMUM_REACHED:
        return StorageFullError(description or "the stream is full")
    if code in OFFLINE | BEING_STORED | NO_PEERS:
        return BusUnreachableError(description or "its node is not available")
    if code in WRONG_LAST_SEQUENCE:
        return RevisionConflictError(description or "another message is the newest")
    if isinstance(error, ServiceRefusalError):
        again = error.code in TRANSIENT_STATUS
        return (NotStoredYetError if again else NotStoredError)(str(error))
    for driver_class, bus_class in _TABLE:
        if isinstance(error, driver_class):
            return bus_class(_ADVICE.get(driver_class) or str(error) or driver_class.__name__)
    if isinstance(error, nats.js.errors.APIError):
        return NotStoredError(f"{description} (JetStream error {code})")
    return BusUnreachableError(str(error) or type(error).__name__)
