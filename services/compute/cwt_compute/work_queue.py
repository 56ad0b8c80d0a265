"""The queues of windows and of tasks: keep deliveries alive, and give them up.

A delivery that is worked on for longer than the acknowledgement deadline is kept by a heartbeat. A
message that cannot be processed leaves a dead letter, and is then taken off its queue.
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

#: Often enough that a delivery under way is never taken for abandoned.
HEARTBEAT_S = ACK_WAIT_S / 3

WHERE = "compute"
#: What a letter holds of a subject.
MAX_SUBJECT = 256
#: Room for the letter's own fields beside the payload, and for the message's headers of that.
LETTER_OVERHEAD_BYTES = 64 * 1024
HEADERS_BYTES = 32 * 1024
#: What a header takes beside its name and value, encoded.
HEADER_OVERHEAD_BYTES = 16
#: Characters of the reason that the server shows for a message that was given up.
MAX_REASON = 200


class Heartbeat:
    """One task that keeps all deliveries under way alive; a task for each would cost each time."""

    def __init__(self, every_s: float = HEARTBEAT_S) -> None:
        self._every_s = every_s
        self._under_way: dict[int, Delivery] = {}

    @contextmanager
    def of(self, delivery: Delivery) -> Iterator[None]:
        """Keep `delivery` alive while the context is open, as far as `run` runs."""
        self._under_way[id(delivery)] = delivery
        try:
            yield
        finally:
            del self._under_way[id(delivery)]

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await anyio.sleep(self._every_s)
            for delivery in tuple(self._under_way.values()):
                try:
                    await delivery.in_progress()
                except BusError:
                    break  # the server is away; at worst a message is worked on twice


async def store_dead_letter(
    bus_log: DurableLog, delivery: Delivery, reason: str, *, queue: str, log: Log
) -> None:
    """Store the dead letter of a message of the stream `queue`, which stays on its queue."""
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
    """Take a message that was given up off its queue."""
    await delivery.term(" ".join(reason.split())[:MAX_REASON])


def dead_letter(stored: StoredMessage, reason: str, *, deliveries: int, now_ns: int) -> DeadLetter:
    """Return the dead letter of any message: of body and headers, as much as fits a message."""
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


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    kept, room = dict[str, str](), HEADERS_BYTES
    for name, value in given.items():
        name, value = name[:MAX_ID], value[:MAX_ID]
        room -= len(name.encode()) + len(value.encode()) + HEADER_OVERHEAD_BYTES
        if room < 0:
            break
        kept[name] = value
    return kept
