"""Deliveries from the queues of windows and tasks: heartbeats and dead letters.

A heartbeat extends the acknowledgement deadline of a delivery while it is processed. A message that
cannot be processed is stored as a dead letter, and then removed from its queue.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import anyio

from cwt_runtime.bus import ACK_WAIT_S, Delivery, DurableLog, StoredMessage
from cwt_runtime.bus.errors import BusError
from cwt_runtime.storage.publish import publish_with_retry
from cwt_runtime.telemetry.logs import Log
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE, MSG_ID
from cwt_schemas.limits import MAX_ID, MAX_MESSAGE_BYTES
from cwt_schemas.message import DeadLetter, clipped

__all__ = ["Heartbeat", "dead_letter", "store_dead_letter", "terminate"]

#: Interval of heartbeats, seconds; short enough that no delivery in progress is redelivered.
HEARTBEAT_S = ACK_WAIT_S / 3

WHERE = "compute"
#: Maximum length of the subject in a dead letter, characters.
MAX_SUBJECT = 256
#: Room for the fields of a dead letter other than the payload; and, of that, for the headers.
LETTER_OVERHEAD_BYTES = 64 * 1024
HEADERS_BYTES = 32 * 1024
#: Encoded size of a header in addition to its name and value, bytes.
HEADER_OVERHEAD_BYTES = 16
#: Maximum length of the reason for termination that the server gets, characters.
MAX_REASON = 200


class Heartbeat:
    """Keep deliveries alive with one task for all, which is cheaper than a task per delivery."""

    def __init__(self, every_s: float = HEARTBEAT_S) -> None:
        self._every_s = every_s
        self._in_progress: dict[int, Delivery] = {}

    @contextmanager
    def of(self, delivery: Delivery) -> Iterator[None]:
        """Keep `delivery` alive while the context is open and `run` is running."""
        self._in_progress[id(delivery)] = delivery
        try:
            yield
        finally:
            del self._in_progress[id(delivery)]

    async def run(self) -> None:
        """Report progress of the deliveries periodically, until cancelled."""
        while True:
            await anyio.sleep(self._every_s)
            for delivery in tuple(self._in_progress.values()):
                try:
                    await delivery.in_progress()
                except BusError:
                    break  # the server is unreachable; at worst a message is processed twice


async def store_dead_letter(
    bus_log: DurableLog, delivery: Delivery, reason: str, *, queue: str, log: Log
) -> None:
    """Store the dead letter of a message of the stream `queue`, without removing the message."""
    stored = delivery.stored
    letter = dead_letter(stored, reason, deliveries=delivery.deliveries, now_ns=time.time_ns())
    await publish_with_retry(
        bus_log,
        subjects.dead(letter.where),
        encode(letter, ContentType.MSGPACK),
        msg_id=f"{queue}/{stored.seq}",
        headers={CONTENT_TYPE: ContentType.MSGPACK.value},
        log=log,
    )


async def terminate(delivery: Delivery, reason: str) -> None:
    """Remove a message from its queue without success."""
    await delivery.term(" ".join(reason.split())[:MAX_REASON])


def dead_letter(stored: StoredMessage, reason: str, *, deliveries: int, now_ns: int) -> DeadLetter:
    """Return the dead letter of a message, with as much of body and headers as fits."""
    message = stored.message
    headers = _headers(message.headers)
    msg_id = message.headers.get(MSG_ID)
    return DeadLetter(
        where=WHERE,
        subject=message.subject[:MAX_SUBJECT],
        id=None if msg_id is None else msg_id[:MAX_ID],
        headers=headers,
        reason=clipped(reason),
        deliveries=deliveries,
        t_ns=now_ns,
        payload=message.data[: MAX_MESSAGE_BYTES - LETTER_OVERHEAD_BYTES],
        payload_bytes=len(message.data),
    )


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept, room = dict[str, str](), HEADERS_BYTES
    for name, value in headers.items():
        name, value = name[:MAX_ID], value[:MAX_ID]
        room -= len(name.encode()) + len(value.encode()) + HEADER_OVERHEAD_BYTES
        if room < 0:
            break
        kept[name] = value
    return kept
