"""Jobs take turns on the queue: how many tasks of one go on it at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_compute.jobs.scheduler import PORTION_S, first_half, portion_size

MIB = 1024 * 1024


def test_a_portion_of_short_tasks_is_some_seconds_of_every_core() -> None:
    costs = [0.1] * 1000
    assert portion_size(costs, in_flight=4, job_bytes=MIB) == pytest.approx(40 * PORTION_S, abs=1)
    assert portion_size(costs, in_flight=40, job_bytes=MIB) == pytest.approx(400 * PORTION_S, abs=1)


def test_a_portion_of_long_tasks_is_one_task() -> None:
    assert portion_size([600.0] * 1000, in_flight=100, job_bytes=MIB) == 1


def test_a_portion_is_long_beside_reading_the_job() -> None:
    small, large = (portion_size([1.0] * 999, in_flight=1, job_bytes=n * MIB) for n in (1, 256))
    assert (small, large) == (2, 54)


@given(
    st.lists(st.floats(0, 1e5), min_size=1, max_size=50), st.integers(0, 500), st.integers(0, 2**28)
)
def test_every_portion_has_a_task_and_no_more_than_there_are(
    costs: list[float], in_flight: int, job_bytes: int
) -> None:
    count = portion_size(costs, in_flight=in_flight, job_bytes=job_bytes)
    assert 1 <= count <= len(costs)
    assert 1 <= first_half(count) <= count


def test_empty_job_has_no_portion() -> None:
    assert portion_size([], in_flight=1, job_bytes=0) == first_half(0) == 0
