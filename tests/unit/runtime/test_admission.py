"""Which requests are admitted, and which query is computed next."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_runtime.rpc.admission import (
    MAX_WAITING,
    QUICK_S,
    SMALL_BYTES,
    Admission,
    AdmissionQueue,
    QueuedQuery,
)
from cwt_schemas.errors import Overloaded
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio


async def test_cheap_query_overtakes_waiting_expensive_queries() -> None:
    queue = AdmissionQueue(1, backlog_s=100)
    order: list[float] = []

    async def ask(cost: float) -> None:
        async with queue.turn(cost):
            order.append(cost)

    async with anyio.create_task_group() as tasks, queue.turn(1):
        for cost in (9, 1, 5):
            tasks.start_soon(ask, cost)
        await anyio.wait_all_tasks_blocked()
        assert order == []
    assert order == [1, 5, 9]


async def test_expensive_query_is_not_starved() -> None:
    """What comes when a dear question has waited for long is behind it."""
    queue = AdmissionQueue(1, backlog_s=100)
    dear = queue.enter(3, now=0)
    assert dear.turn.is_set()
    waiting, late = queue.enter(3, now=0), queue.enter(1, now=10)
    queue.leave(dear)
    assert (waiting.turn.is_set(), late.turn.is_set()) == (True, False)


async def test_what_waits_is_bounded_by_its_cost_and_the_refusal_says_when_to_come_again() -> None:
    queue = AdmissionQueue(1, backlog_s=10)
    running = queue.enter(6, now=0)
    queue.enter(3, now=0)
    with pytest.raises(Overloaded, match=r"cwt\.job\.submit") as caught:
        queue.enter(4, now=0)
    assert caught.value.detail == {"retry_after_s": 3, "cost_s": 4, "subject": "cwt.job.submit"}
    queue.leave(running)
    queue.enter(4, now=3)


async def test_query_above_cost_limit_runs_when_worker_is_idle() -> None:
    queue = AdmissionQueue(1, backlog_s=10)
    assert queue.enter(25, now=0).turn.is_set()


async def test_the_number_that_waits_is_bounded_too() -> None:
    queue = AdmissionQueue(2, backlog_s=1000)
    for _ in range(MAX_WAITING + 2):
        queue.enter(0.01, now=0)
    with pytest.raises(Overloaded) as caught:
        queue.enter(0.01, now=0)
    assert caught.value.detail == {"retry_after_s": 0.1, "cost_s": 0.01}


async def test_quick_query_does_not_wait_for_slow_one() -> None:
    admission = Admission(threads=1, backlog_s=100)
    with fail_after(1):
        async with admission.turn(30), admission.turn(QUICK_S):
            pass


async def test_cancelled_wait_leaves_no_state() -> None:
    queue = AdmissionQueue(1, backlog_s=100)
    async with queue.turn(1):
        with anyio.move_on_after(0) as gave_up:
            async with queue.turn(1):
                raise AssertionError
        assert gave_up.cancelled_caught
        assert (queue.waiting, queue.load_s) == (0, 1)
    assert queue.load_s == 0


@given(
    st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=60),
    st.integers(1, 3),
)
async def test_in_any_sequence_threads_are_busy_and_never_too_many(
    steps: list[tuple[float, bool]], threads: int
) -> None:
    queue = AdmissionQueue(threads, backlog_s=60)
    tickets: list[QueuedQuery] = []
    for now, (cost, leaves) in enumerate(steps):
        if leaves and tickets:
            queue.leave(tickets.pop(int(cost) % len(tickets)))
        else:
            try:
                tickets.append(queue.enter(cost, now))
            except Overloaded:
                assert sum(each.cost_s for each in tickets) + cost > 60 * threads
        running = sum(each.turn.is_set() for each in tickets)
        assert running == min(threads, len(tickets))
        assert queue.load_s == pytest.approx(sum(each.cost_s for each in tickets))


def test_a_single_request_fits_whatever_its_size() -> None:
    admission = Admission(max_bytes=SMALL_BYTES)
    admission.reserve(10 * SMALL_BYTES)
    with pytest.raises(Overloaded) as caught:
        admission.reserve(SMALL_BYTES + 1)
    assert (caught.value.detail or {})["retry_after_s"]


@given(st.lists(st.tuples(st.integers(0, 5 * SMALL_BYTES), st.booleans()), max_size=40))
def test_in_any_sequence_what_is_held_is_within_the_bound_and_all_of_it_comes_back(
    steps: list[tuple[int, bool]],
) -> None:
    limit = 12 * SMALL_BYTES
    admission, held = Admission(max_bytes=limit), list[int]()
    for size, leaves in steps:
        if leaves and held:
            admission.release(held.pop())
            continue
        try:
            admission.reserve(size)
            held.append(size)
        except Overloaded:
            assert admission.held + size > limit
        assert admission.held == sum(each for each in held if each > SMALL_BYTES) <= limit
    for each in held:
        admission.release(each)
    assert admission.held == 0
