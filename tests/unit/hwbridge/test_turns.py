"""Whose turn it is at a device, without a device."""

from __future__ import annotations

import pytest

from schemas.errors import Overloaded
from services.hwbridge.turns import MAX_WAITING, MAX_WAITING_OF_ONE, Ticket, Turns

pytestmark = pytest.mark.anyio


def order(turns: Turns, tickets: list[Ticket]) -> str:
    """Return who has turns until nobody waits, each leaving as soon as it is there."""
    found = ""
    while turns.busy:
        current = next(each for each in tickets if each.turn.is_set())
        found += current.client_id
        tickets.remove(current)
        turns.leave(current)
    return found


async def test_of_one_client_the_first_request_goes_first() -> None:
    turns = Turns()
    first, second, third = (turns.enter("a") for _ in range(3))
    assert (first.turn.is_set(), second.turn.is_set(), turns.waiting) == (True, False, 2)
    turns.leave(first)
    assert (second.turn.is_set(), third.turn.is_set(), turns.waiting) == (True, False, 1)


async def test_between_clients_turns_go_round() -> None:
    turns = Turns()
    assert order(turns, [turns.enter(client_id) for client_id in "aaaaabbc"]) == "aabcabaa"


async def test_who_comes_late_does_not_wait_for_all_that_another_has_queued() -> None:
    turns = Turns()
    tickets = [turns.enter("a") for _ in range(MAX_WAITING_OF_ONE)]
    tickets.append(turns.enter("b"))
    assert order(turns, tickets).startswith("aab")


async def test_who_has_too_many_waiting_is_refused_and_others_are_not() -> None:
    turns = Turns()
    running, *_ = (turns.enter("a") for _ in range(1 + MAX_WAITING_OF_ONE))
    with pytest.raises(Overloaded, match=f"{MAX_WAITING_OF_ONE} operations"):
        turns.enter("a")
    turns.enter("b")
    turns.leave(running)
    turns.enter("a")


async def test_what_waits_in_all_is_bounded_however_many_ask() -> None:
    turns = Turns()
    for client_id in range(1 + MAX_WAITING):
        turns.enter(str(client_id))
    with pytest.raises(Overloaded, match=f"{MAX_WAITING} operations wait"):
        turns.enter("late")


async def test_who_gives_up_in_the_queue_or_with_the_turn_holds_up_nobody() -> None:
    turns = Turns()
    first, second, third = (turns.enter(client_id) for client_id in "abc")
    turns.leave(second)
    turns.leave(first)
    assert third.turn.is_set()
    turns.leave(third)
    assert (turns.busy, turns.waiting) == (False, 0)
    assert turns.enter("b").turn.is_set()
