"""What a terminal says of events. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cwt_schemas.live import StreamEvent

__all__ = ["event_line", "events_in_words"]


def event_line(event: StreamEvent) -> str:
    """Return one event as a line."""
    return f"event: {event.stream} {event.kind} {event.detail}"


#: What each kind of event means for the results.
MEANINGS: Mapping[str, str] = {
    "gap": "samples did not arrive; what they affect is masked",
    "overlap": "samples arrived twice and were dropped",
    "reset": "a new run began",
    "rejected": "chunks could not be used",
    "missing": "samples without a value; what they affect is masked",
    "recovered": "channels have values again",
    "lag": "the system fell behind, or caught up",
    "dropped": "a window gave no result",
    "flat": "a channel began or ceased to deliver a constant; what rests on that alone is masked",
    "rate": "the stream's sampling rate is not the device's",
    "clock": "the device's clock was set, or some of its time stamps are wrong",
}


def events_in_words(events: Mapping[str, int]) -> str:
    """Return how many events of which kind came, and what they mean."""
    kinds = Counter(events)
    if not kinds:
        return "events: none"
    return "events: " + ", ".join(
        f"{count} x {kind} ({MEANINGS.get(kind, 'of a later version')})"
        for kind, count in sorted(kinds.items())
    )
