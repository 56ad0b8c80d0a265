"""The bounded rate of events."""

from __future__ import annotations

from cwt_runtime.event_rate import EventRate
from cwt_schemas.live import StreamEvent

S = 10**9


def event(number: int, kind: str = "missing", t_ns: int = 0) -> StreamEvent:
    return StreamEvent.model_validate(
        {
            "id": f"s/{number}/{kind}", "stream": "s", "epoch": "e", "kind": kind,
            "first_sample": 10 * number, "n_samples": 2, "detail": f"the {number}th", "t_ns": t_ns,
        }
    )  # fmt: skip


def test_event_flood_is_limited_and_counted_each_second() -> None:
    rate, told = EventRate(()), list[StreamEvent]()
    for number in range(1000):
        now_ns = number * S // 100
        each = event(number, t_ns=now_ns)
        told += [each] if rate.admits(each) else []
        told += rate.due(f"s/{number}/more", "s", now_ns, quiet=False)
    told += rate.due("s/999/rest", "s", 10 * S, quiet=True)
    assert len(told) <= 20 + 11
    assert sum(each.count for each in told) == 1000
    assert sum(each.n_samples or 0 for each in told) == 2000
    assert len({each.id for each in told}) == len(told)
    assert "the 999th" in told[-1].detail


def test_another_kind_is_not_held_back() -> None:
    rate = EventRate(())
    for number in range(100):
        rate.admits(event(number))
    assert rate.admits(event(100, "gap"))


def test_after_a_pause_events_come_one_by_one_again() -> None:
    rate = EventRate(())
    for number in range(100):
        rate.admits(event(number))
    assert [each.count for each in rate.due("s/99/more", "s", 60 * S, quiet=False)] == [80]
    assert rate.admits(event(101, t_ns=60 * S))


def test_a_rate_is_idle_once_nothing_waits_and_its_budget_is_full_again() -> None:
    rate = EventRate(())
    assert rate.is_idle(0)
    rate.admits(event(0))
    assert not rate.is_idle(S // 2)
    assert rate.is_idle(S)
    for number in range(30):
        rate.admits(event(number, t_ns=S))
    assert not rate.is_idle(100 * S)
    assert [each.count for each in rate.due("s", "s", 100 * S, quiet=False)] == [10]
    assert rate.is_idle(101 * S)
