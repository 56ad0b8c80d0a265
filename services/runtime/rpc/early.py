"""Fields of a reply that are sent ahead of the rest, while the rest is still being computed.

A client that can put them together names an inbox for them (header ``Cwt-Early``). The thread that
computes an answer passes whole fields of the reply to `Early.send_from_thread`; they are sent to
that inbox immediately, as one message in msgpack, and left out of the reply, whose header
``Cwt-Early`` says so. For any other client nothing is sent ahead, and the reply has all fields. See
`docs/decisions/0049-answers-ahead.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.from_thread
import numpy as np
from numpy.typing import NDArray

from schemas.codec import ContentType, encode_fields
from schemas.headers import CONTENT_TYPE, EARLY
from services.runtime.bus import Bus, Message
from services.runtime.bus.errors import BusError

__all__ = ["MIN_EARLY_BYTES", "Early"]

#: Smaller fields arrive as fast with the rest of the reply.
MIN_EARLY_BYTES = 256 * 1024
#: Of all fields sent ahead, for what is in the message besides the numbers.
OVERHEAD_BYTES = 4 * 1024
#: Nothing but an inbox: a service may publish where its clients may not.
INBOX_PREFIX = "_INBOX."


class Early:
    """What is sent ahead of one reply.

    Parameters
    ----------
    bus
        To send it on.
    inbox
        Where to; None if nobody waits for it.
    """

    def __init__(self, bus: Bus, inbox: str | None) -> None:
        self._bus = bus
        self._inbox = inbox
        #: The fields that are on their way.
        self.sent: frozenset[str] = frozenset()

    @classmethod
    def of(cls, bus: Bus, request: Message, accepted: ContentType) -> Early:
        """Return what the sender of a request wants."""
        inbox = request.headers.get(EARLY, "")
        usable = inbox.startswith(INBOX_PREFIX) and accepted is ContentType.MSGPACK
        return cls(bus, inbox if usable else None)

    def takes(self, size: int) -> bool:
        """Return whether fields with so many bytes of numbers may go ahead."""
        largest = self._bus.max_message_bytes - OVERHEAD_BYTES
        return self._inbox is not None and not self.sent and MIN_EARLY_BYTES <= size <= largest

    async def send(self, names: frozenset[str], body: bytes) -> None:
        """Send the fields; if that fails, they are in the reply like the others."""
        if self._inbox is None:
            return
        try:
            await self._bus.publish(self._inbox, body, {CONTENT_TYPE: ContentType.MSGPACK.value})
        except BusError:
            return
        self.sent = names

    def send_from_thread(self, fields: Mapping[str, NDArray[np.inexact[Any]]]) -> None:
        """Send fields ahead, from the thread that computes the reply, if they may go."""
        if self.takes(sum(each.nbytes for each in fields.values())):
            anyio.from_thread.run(self.send, frozenset(fields), encode_fields(fields))
