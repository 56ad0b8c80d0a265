"""How much a service holds at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Overloaded
from services.runtime.rpc.room import SMALL_BYTES, Room


def test_a_single_request_fits_whatever_its_size() -> None:
    room = Room(SMALL_BYTES)
    room.take(10 * SMALL_BYTES)
    with pytest.raises(Overloaded) as caught:
        room.take(SMALL_BYTES + 1)
    assert (caught.value.detail or {})["retry_after_s"]


@given(st.lists(st.tuples(st.integers(0, 5 * SMALL_BYTES), st.booleans()), max_size=40))
def test_in_any_sequence_what_is_held_is_within_the_bound_and_all_of_it_comes_back(
    steps: list[tuple[int, bool]],
) -> None:
    limit = 12 * SMALL_BYTES
    room, held = Room(limit), list[int]()
    for size, leaves in steps:
        if leaves and held:
            room.give_back(held.pop())
            continue
        try:
            room.take(size)
            held.append(size)
        except Overloaded:
            assert room.held + size > limit
        assert room.held == sum(each for each in held if each > SMALL_BYTES) <= limit
    for each in held:
        room.give_back(each)
    assert room.held == 0
