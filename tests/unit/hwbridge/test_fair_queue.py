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


async def test_of_one_client_the_first_request_goes_first() -> None:
    queue = FairQueue()
    first, second, third = (queue.enter("a") for _ in range(3))
    assert (first.turn.is_set(), second.turn.is_set(), queue.waiting) == (True, False, 2)
    queue.leave(first)
    assert (second.turn.is_set(), third.turn.is_set(), queue.waiting) == (True, False, 1)


async def test_between_clients_turns_go_round() -> None:
    queue = FairQueue()
    assert order(queue, [queue.enter(client_id) for client_id in "aaaaabbc"]) == "aabcabaa"


async def test_who_comes_late_does_not_wait_for_all_that_another_has_queued() -> None:
    queue = FairQueue()
    tickets = [queue.enter("a") for _ in range(MAX_WAITING_OF_ONE)]
    tickets.append(queue.enter("b"))
    assert order(queue, tickets).startswith("aab")


async def test_who_has_too_many_waiting_is_refused_and_others_are_not() -> None:
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


async def test_who_gives_up_in_the_queue_or_with_the_turn_holds_up_nobody() -> None:
    queue = FairQueue()
    first, second, third = (queue.enter(client_id) for client_id in "abc")
    queue.leave(second)
    queue.leave(first)
    assert third.turn.is_set()
    queue.leave(third)
    assert (queue.busy, queue.waiting) == (False, 0)
    assert queue.enter("b").turn.is_set()
