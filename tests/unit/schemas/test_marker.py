"""Where a marker is, how long it lasts, and which markers are the same."""

from __future__ import annotations

from typing import Any

import pytest

from cwt_schemas import Marker, Unprocessable
from cwt_schemas.codec import ContentType, decode, encode, validated

MOMENT = {"stream": "s", "epoch": "e", "first_sample": 5, "text": "on"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"t_ns": 7}, "first_sample"),
        ({"first_sample": None}, "first_sample"),
        ({"epoch": None}, "epoch"),
        ({"n_samples": 3, "duration_s": 1.0}, "n_samples"),
        ({"first_sample": -1}, "first_sample"),
        ({"duration_s": -0.5}, "duration_s"),
        ({"text": "x" * 4097}, "text"),
    ],
)
def test_a_marker_has_one_place_and_one_length(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        validated(Marker, {**MOMENT, **changes})
    assert refusal.value.fields == (field,)


def test_a_time_needs_no_epoch() -> None:
    assert validated(Marker, {"stream": "s", "t_ns": 7, "text": "on"}).epoch is None


@pytest.mark.parametrize("kind", [ContentType.JSON, ContentType.MSGPACK])
def test_a_marker_has_the_same_id_in_every_encoding(kind: ContentType) -> None:
    marker = validated(Marker, {**MOMENT, "duration_s": 1.0})
    assert decode(Marker, encode(marker, kind), kind).id == marker.id


@pytest.mark.parametrize(
    "changes",
    [{"stream": "t"}, {"epoch": "f"}, {"first_sample": 6}, {"text": "off"}, {"channel": "x"}],
)
def test_markers_that_differ_have_different_ids(changes: dict[str, Any]) -> None:
    assert validated(Marker, {**MOMENT, **changes}).id != validated(Marker, MOMENT).id
