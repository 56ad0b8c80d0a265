"""Words about events."""

from __future__ import annotations

from typing import get_args

from cwt_cli.event_text import MEANINGS, events_in_words
from cwt_schemas.live import EventKind
from tests.text import numbers


def test_events_are_counted_by_kind() -> None:
    assert numbers(events_in_words({})) == []
    assert numbers(events_in_words({"missing": 1, "gap": 2})) == ["2", "1"]


def test_an_event_is_explained() -> None:
    # The demo ended with "events: 1 x missing" alone, which sounds as if it had lost something.
    assert "1 x missing (samples have no value" in events_in_words({"missing": 1})
    assert set(MEANINGS) == set(get_args(EventKind))
