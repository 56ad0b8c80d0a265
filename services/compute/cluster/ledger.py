"""Who has which share of a simulation: pure bookkeeping.

Others take shares from the front, whoever coordinates takes them from the back, so they meet as
late as possible. When nothing is left to take, the coordinator computes what is still out, longest
out first: so it never waits for anybody, and a worker that died or hangs costs one share.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["Ledger"]

T = TypeVar("T")


class Ledger(Generic[T]):
    """The state of `count` shares; results of the same share are the same, so the first counts."""

    def __init__(self, count: int) -> None:
        self._todo = deque(range(count))
        #: Shares that others have, longest out first.
        self._out: list[int] = []
        self._own: set[int] = set()
        self._results: dict[int, T] = {}
        self._count = count

    def take_for_other(self) -> int | None:
        """Return a share to hand out; None if there is none."""
        if not self._todo:
            return None
        share = self._todo.popleft()
        self._out.append(share)
        return share

    def take_for_self(self) -> int | None:
        """Return a share to compute here; None if all have results, or are under way here."""
        if self._todo:
            share = self._todo.pop()
        else:
            left = [each for each in self._out if each not in self._own]
            if not left:
                return None
            share = left[0]
        self._own.add(share)
        return share

    def release(self, share: int) -> None:
        """Take note that somebody else will not compute a share after all."""
        if share in self._out:
            self._out.remove(share)
            if share not in self._results and share not in self._own:
                self._todo.appendleft(share)

    def arrived(self, share: int, result: T) -> None:
        """Take note of a result."""
        self._results.setdefault(share, result)
        if share in self._out:
            self._out.remove(share)

    def results(self) -> tuple[T, ...]:
        """Return all results, in order of the shares."""
        return tuple(self._results[share] for share in range(self._count))
