"""Messages read before are distinguished from new ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cwt_schemas.live import StreamEvent
from pycwt_client import repeats
from pycwt_client.repeats import SeenIds, SeenResults, Spans
from tests.unit.client.blocks import block


@given(st.lists(st.integers(0, 40), max_size=200))
def test_a_tile_is_new_exactly_once_in_whatever_order(tiles: list[int]) -> None:
    spans, seen = Spans(), set[int]()
    for tile in tiles:
        assert spans.add(4 * tile, 4 * tile + 4) == (tile not in seen)
        seen.add(tile)
    islands = sum(tile - 1 not in seen for tile in seen)
    assert len(spans) == islands


def test_tiles_without_a_hole_take_no_memory() -> None:
    spans = Spans()
    assert all(spans.add(first, first + 8) for first in range(0, 80_000, 8))
    assert len(spans) == 1


def test_endless_gaps_take_bounded_memory() -> None:
    spans = Spans()
    for first in range(0, 4 * repeats.MAX_SPANS * 8, 8):
        assert spans.add(first, first + 4)
    assert len(spans) == repeats.MAX_SPANS
    assert not spans.add(first, first + 4)


def test_results_of_other_octaves_and_epochs_are_others() -> None:
    seen = SeenResults()
    others = [
        block(0, 0),
        block(1, 0),
        block(0, 4),
        block(0, 0, epoch="f"),
        block(0, 0, stream="t"),
    ]
    assert [seen.is_new(each) for each in others * 2] == [True] * 5 + [False] * 5


def test_an_event_is_new_once() -> None:
    seen = SeenIds()
    events = [StreamEvent(id=name, stream="s", kind="gap", t_ns=0) for name in ("a", "b", "a")]
    assert [seen.is_new(each) for each in events] == [True, True, False]
