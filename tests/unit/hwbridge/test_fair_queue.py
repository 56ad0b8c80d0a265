"""Whose turn it is at a device, without a device."""

from __future__ import annotations

import pytest

from cwt_hwbridge.fair_queue import MAX_WAITING, MAX_WAITING_OF_ONE, FairQueue, QueueEntry
from cwt_schemas.errors import Overloaded

pytestmark = pytest.mark.anyio


def order(queue: FairQueue, tickets: list[QueueEntry]) -> str:
    """Return who has turns until none waits, each leaving as soon as it is there."""
    found = ""
    while queue.busy:
        current = next(each for each in tickets if each.turn.is_set())
        found += current.client_id
        tickets.remove(current)
        queue.leave(current)
    return found


async def test_requests_of_one_client_are_served_in_order() -> None:
    queue = FairQueue()
    first, second, third = (queue.enter("a") for _ in range(3))
    assert (first.turn.is_set(), second.turn.is_set(), queue.waiting) == (True, False, 2)
    queue.leave(first)
    assert (second.turn.is_set(), third.turn.is_set(), queue.waiting) == (True, False, 1)


async def test_turns_rotate_between_clients() -> None:
    queue = FairQueue()
    assert order(queue, [queue.enter(client_id) for client_id in "aaaaabbc"]) == "aabcabaa"


async def test_late_client_does_not_wait_for_whole_queue_of_another() -> None:
    queue = FairQueue()
    tickets = [queue.enter("a") for _ in range(MAX_WAITING_OF_ONE)]
    tickets.append(queue.enter("b"))
    assert order(queue, tickets).startswith("aab")


async def test_client_above_queue_limit_is_refused_and_others_are_not() -> None:
    queue = FairQueue()
    running, *_ = (queue.enter("a") for _ in range(1 + MAX_WAITING_OF_ONE))
    with pytest.raises(Overloaded, match=f"{MAX_WAITING_OF_ONE} of your operations"):
        queue.enter("a")
    queue.enter("b")
    queue.leave(running)
    queue.enter("a")


async def test_what_waits_in_all_is_bounded_however_many_ask() -> None:
    queue = FairQueue()
    for client_id in range(1 + MAX_WAITING):
        queue.enter(str(client_id))
    with pytest.raises(Overloaded, match=f"{MAX_WAITING} operations are queued"):
        queue.enter("late")


async def test_cancelled_caller_blocks_no_other() -> None:
    queue = FairQueue()
    first, second, third = (queue.enter(client_id) for client_id in "abc")
    queue.leave(second)
    queue.leave(first)
    assert third.turn.is_set()
    queue.leave(third)
    assert (queue.busy, queue.waiting) == (False, 0)
    assert queue.enter("b").turn.is_set()
