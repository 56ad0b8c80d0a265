"""Format events for a terminal. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cwt_schemas.live import StreamEvent

__all__ = ["event_line", "events_in_words"]


def event_line(event: StreamEvent) -> str:
    """Format one event as a line."""
    return f"event: {event.stream} {event.kind} {event.detail}"


#: Consequence of each kind of event for the results.
MEANINGS: Mapping[str, str] = {
    "gap": "samples did not arrive; affected results are masked",
    "overlap": "samples arrived twice and were discarded",
    "reset": "a new run of the device began",
    "rejected": "chunks were rejected",
    "missing": "samples have no value; affected results are masked",
    "recovered": "channels have values again",
    "lag": "the system fell behind, or caught up",
    "dropped": "a window produced no result",
    "flat": "a channel became constant or stopped being constant; results that depend only on it "
    "are masked",
    "copy": "a channel is a copy of another one; their coherence is 1",
    "singular": "channels are copies or sums of each other; affected results are masked",
    "calibration": "intervals of provisional estimates became too narrow, or are right again",
    "rate": "the sampling rate of the stream differs from that of the device",
    "clock": "the device's clock was set, or some of its time stamps are wrong",
}


def events_in_words(events: Mapping[str, int]) -> str:
    """Format the number of events of each kind, and their consequences."""
    kinds = Counter(events)
    if not kinds:
        return "events: none"
    return "events: " + ", ".join(
        f"{count} x {kind} ({MEANINGS.get(kind, 'unknown to this version')})"
        for kind, count in sorted(kinds.items())
    )
