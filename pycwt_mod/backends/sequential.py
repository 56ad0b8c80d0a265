"""Tasks one after the other, in this thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class SequentialBackend:
    """Runs every task in the calling thread; `n_jobs` has no effect."""

    name = "sequential"
    description = "one task after the other in the calling thread"
    type: Literal["cpu"] = "cpu"
    uses_n_jobs = False

    def is_available(self) -> bool:
        """Return True."""
        return True

    def map(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        n_jobs: int = 1,  # noqa: ARG002
    ) -> Iterator[R]:
        """Yield ``function(task)`` in the order of `tasks`."""
        return map(function, tasks)
