"""Rate limit for the events of a stream.

A loose plug can cause an event with every chunk. For each kind of event, the first ``BURST`` events
are published immediately, then one event per ``INTERVAL_S``. The events in between are merged into
one summary event, with their number and their samples, which is published when the rate allows it
or when no more events arrive.

Ingest measures time by the log, so the same log gives the same events, and stores pending summaries
in its checkpoints. Compute workers use their clock and keep pending summaries in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cwt_schemas.checkpoint import EventBudget
from cwt_schemas.live import StreamEvent
from cwt_schemas.message import clipped

__all__ = ["EVENTS_QUIET_S", "INTERVAL_S", "EventRate"]

#: Number of events of a kind that are published individually after a quiet period.
BURST = 20
#: Interval at which one more event of the kind may be published, seconds.
INTERVAL_S = 1.0
#: Time without messages in the log after which pending summaries are published, seconds.
EVENTS_QUIET_S = 2.0
NANOSECONDS = 1_000_000_000


class EventRate:
    """Admit or merge the events of one stream; a checkpoint stores the `budgets`."""

    def __init__(self, budgets: Iterable[EventBudget]) -> None:
        self._budgets: dict[str, EventBudget] = {each.kind: each for each in budgets}

    @property
    def budgets(self) -> tuple[EventBudget, ...]:
        """The budget of each kind of event so far."""
        return tuple(self._budgets.values())

    def admits(self, event: StreamEvent) -> bool:
        """Return whether to publish an event now; otherwise merge it into the pending summary."""
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
        """Whether a summary is pending."""
        return any(budget.count for budget in self._budgets.values())

    def is_idle(self, now_ns: int) -> bool:
        """Return whether no summary is pending and all budgets are full, as in a new instance."""
        return not self.waiting and all(
            self._refilled(kind, now_ns).left >= BURST for kind in self._budgets
        )

    def due(self, name: str, stream: str, now_ns: int, *, quiet: bool) -> Iterator[StreamEvent]:
        """Yield the summaries that the rate allows now, or all of them if `quiet`.

        The id of each is ``<name>/<kind>``.
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
