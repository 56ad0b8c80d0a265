"""How much a service holds at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Overloaded
from services.runtime.rpc.byte_budget import SMALL_BYTES, ByteBudget


def test_a_single_request_fits_whatever_its_size() -> None:
    budget = ByteBudget(SMALL_BYTES)
    budget.reserve(10 * SMALL_BYTES)
    with pytest.raises(Overloaded) as caught:
        budget.reserve(SMALL_BYTES + 1)
    assert (caught.value.detail or {})["retry_after_s"]


@given(st.lists(st.tuples(st.integers(0, 5 * SMALL_BYTES), st.booleans()), max_size=40))
def test_in_any_sequence_what_is_held_is_within_the_bound_and_all_of_it_comes_back(
    steps: list[tuple[int, bool]],
) -> None:
    limit = 12 * SMALL_BYTES
    budget, held = ByteBudget(limit), list[int]()
    for size, leaves in steps:
        if leaves and held:
            budget.release(held.pop())
            continue
        try:
            budget.reserve(size)
            held.append(size)
        except Overloaded:
            assert budget.held + size > limit
        assert budget.held == sum(each for each in held if each > SMALL_BYTES) <= limit
    for each in held:
        budget.release(each)
    assert budget.held == 0
