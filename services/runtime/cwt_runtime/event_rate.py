"""The bounded rate of a stream's events: of each kind a few, then one per interval for all others.

A loose plug can cause an event with every chunk. Of each kind, ``BURST`` events are published as
they come, and another one for every ``INTERVAL_S`` that passes. Those in between are added up, and
published as one event, which says how many it stands for and has their samples, when its turn
comes, or when no more events come.

Ingest counts by the time of the log, so the same log gives the same events, and has the sums in its
checkpoints. Compute workers count by their clock, and keep the sums in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cwt_schemas.checkpoint import EventBudget
from cwt_schemas.live import StreamEvent
from cwt_schemas.message import clipped

__all__ = ["EVENTS_QUIET_S", "INTERVAL_S", "EventRate"]

#: Events of a kind that are published one by one, after a time without any.
BURST = 20
#: After them, one event of the kind for each interval.
INTERVAL_S = 1.0
#: How long the log is quiet before what was added up is published.
EVENTS_QUIET_S = 2.0
NANOSECONDS = 1_000_000_000


class EventRate:
    """Admits the events of one stream, or adds them up; `budgets` is what a checkpoint keeps."""

    def __init__(self, budgets: Iterable[EventBudget]) -> None:
        self._budgets: dict[str, EventBudget] = {each.kind: each for each in budgets}

    @property
    def budgets(self) -> tuple[EventBudget, ...]:
        """What is known of each kind that came."""
        return tuple(self._budgets.values())

    def admits(self, event: StreamEvent) -> bool:
        """Return whether an event is published now; otherwise it is added to those that wait."""
        budget = self._refilled(event.kind, event.t_ns)
        if budget.left >= 1 and not budget.count:
            self._budgets[event.kind] = budget.model_copy(update={"left": budget.left - 1})
            return True
        first = event.first_sample if budget.first_sample is None else budget.first_sample
        self._budgets[event.kind] = budget.model_copy(
            update={
                "count": budget.count + 1,
                "first_sample": first,
                "n_samples": budget.n_samples + (event.n_samples or 0),
                "epoch": event.epoch,
                "detail": event.detail,
            }
        )
        return False

    @property
    def waiting(self) -> bool:
        """Whether events wait for their turn."""
        return any(budget.count for budget in self._budgets.values())

    def is_idle(self, now_ns: int) -> bool:
        """Return whether no event waits and all budgets are full, as those of a new rate are."""
        return not self.waiting and all(
            self._refilled(kind, now_ns).left >= BURST for kind in self._budgets
        )

    def due(self, name: str, stream: str, now_ns: int, *, quiet: bool) -> Iterator[StreamEvent]:
        """Yield what was added up and has its turn; all of it where it is `quiet`.

        Ids begin with `name`.
        """
        for kind, before in list(self._budgets.items()):
            if not before.count:
                continue
            budget = self._refilled(kind, now_ns)
            if budget.left < 1 and not quiet:
                continue
            yield StreamEvent(
                id=f"{name}/{kind}",
                stream=stream,
                epoch=budget.epoch,
                kind=kind,
                first_sample=budget.first_sample,
                n_samples=budget.n_samples or None,
                count=budget.count,
                detail=_detail(budget),
                t_ns=now_ns,
            )
            self._budgets[kind] = EventBudget(
                kind=budget.kind, left=max(budget.left - 1, 0.0), at_ns=budget.at_ns
            )

    def _refilled(self, kind: str, now_ns: int) -> EventBudget:
        budget = self._budgets.get(kind)
        if budget is None:
            return EventBudget(kind=kind, left=BURST, at_ns=now_ns)
        passed_s = max(now_ns - budget.at_ns, 0) / NANOSECONDS
        left = min(budget.left + passed_s / INTERVAL_S, BURST)
        return budget.model_copy(update={"left": left, "at_ns": max(now_ns, budget.at_ns)})


def _detail(budget: EventBudget) -> str:
    if budget.count == 1:
        return budget.detail
    return clipped(f"{budget.count} events of this kind; the last: {budget.detail}")
