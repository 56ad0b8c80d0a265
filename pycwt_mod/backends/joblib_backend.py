"""Tasks in several processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

import joblib

T = TypeVar("T")
R = TypeVar("R")


class JoblibBackend:
    """Runs tasks in `n_jobs` worker processes (-1: one per core)."""

    name = "joblib"
    description = "worker processes on this machine, by joblib"
    type: Literal["cpu"] = "cpu"

    def is_available(self) -> bool:
        """Return True: joblib is a dependency."""
        return True

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, n_jobs: int = 1
    ) -> Iterator[R]:
        """Yield ``function(task)`` in the order of `tasks`, as they finish."""
        pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
        return iter(pool(joblib.delayed(function)(task) for task in tasks))
