"""What is left of a window that was given up: a letter, and an event. Total: it takes anything."""

from __future__ import annotations

from collections.abc import Mapping

from schemas import storage, subjects
from schemas.dead import DeadLetter
from schemas.errors import ContractError
from schemas.event import StreamEvent
from schemas.headers import MSG_ID
from schemas.limits import MAX_ID, MAX_MESSAGE_BYTES
from schemas.message import clipped
from schemas.window import AnalysisWindow
from services.runtime.bus import StoredMessage

__all__ = ["dead_letter", "dropped_event", "stale_event"]

WHERE = "compute"
#: Takes the events of windows whose subject names no stream.
NAMELESS = "nameless"
#: What a letter holds of a subject.
MAX_SUBJECT = 256
#: Room for the letter's own fields beside the payload, and for the message's headers of that.
LETTER_OVERHEAD_BYTES = 64 * 1024
HEADERS_BYTES = 32 * 1024
#: What a header takes beside its name and value, encoded.
HEADER_OVERHEAD_BYTES = 16


def dead_letter(stored: StoredMessage, reason: str, *, deliveries: int, now_ns: int) -> DeadLetter:
    """Return the letter; of body and headers, as much as fits a message."""
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


def dropped_event(stored: StoredMessage, reason: str, *, now_ns: int) -> StreamEvent:
    """Return the event that tells the stream's readers; of whichever stream, if any, it was."""
    try:
        stream = subjects.lane_of_window(stored.message.subject).stream
    except ContractError:
        stream = NAMELESS
    return StreamEvent(
        id=f"{stream}/{storage.WINDOWS}/{stored.seq}/dropped",
        stream=stream,
        kind="dropped",
        detail=clipped(f"a window was given up, its results will not come: {reason}"),
        t_ns=now_ns,
    )


def stale_event(window: AnalysisWindow, *, age_s: float, now_ns: int) -> StreamEvent:
    """Return the event that tells of a window dropped because it was too old."""
    spec, n_sets = window.analysis, len(window.analysis.channel_sets)
    return StreamEvent(
        id=f"{window.id}/dropped",
        stream=window.stream,
        epoch=window.epoch,
        kind="dropped",
        first_sample=window.tile.first_sample,
        n_samples=window.tile.n,
        detail=clipped(
            f"octave {window.octave} of {spec.name}, {n_sets} channel sets: its samples were "
            f"{age_s:.3g} s old, more than stale_after_s = {window.stale_after_s:g}; its results "
            "are masked"
        ),
        t_ns=now_ns,
    )
