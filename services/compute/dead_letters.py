"""What is left of a window that was given up."""

from __future__ import annotations

from schemas.dead import DeadLetter
from schemas.headers import MSG_ID
from schemas.limits import MAX_MESSAGE_BYTES
from services.runtime.bus import StoredMessage

__all__ = ["dead_letter"]

WHERE = "compute"
#: Room for the letter's own fields beside the payload.
LETTER_OVERHEAD_BYTES = 64 * 1024


def dead_letter(stored: StoredMessage, reason: str, *, deliveries: int, now_ns: int) -> DeadLetter:
    """Return the letter, with the window's body cut only where it would not fit a message."""
    message = stored.message
    return DeadLetter(
        where=WHERE,
        subject=message.subject,
        id=message.headers.get(MSG_ID),
        headers=dict(message.headers),
        reason=reason,
        deliveries=deliveries,
        t_ns=now_ns,
        payload=message.data[: MAX_MESSAGE_BYTES - LETTER_OVERHEAD_BYTES],
        payload_bytes=len(message.data),
    )
