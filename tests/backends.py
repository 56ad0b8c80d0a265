"""Monte Carlo backends for tests; register one with `register_backend`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Longest time that a simulation waits for its test, seconds.
WAIT_S = 60.0


class Backwards:
    """Runs the last task first."""

    description = "the last task first"
    type: Literal["cpu"] = "cpu"

    def __init__(self, name: str = "backwards") -> None:
        self.name = name

    def is_available(self) -> bool:
        return True

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, n_jobs: int = 1
    ) -> Iterator[R]:
        del n_jobs
        return reversed([function(task) for task in reversed(tasks)])


class Gated:
    """Runs no task before `go` is set."""

    name = "gated"
    description = "waits"
    type: Literal["cpu"] = "cpu"

    def __init__(self) -> None:
        self.go = threading.Event()
        #: Set when a simulation has begun.
        self.begun = threading.Event()
        #: Number of tasks of each simulation that has begun.
        self.simulations: list[int] = []

    def is_available(self) -> bool:
        return True

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, n_jobs: int = 1
    ) -> Iterator[R]:
        del n_jobs
        self.simulations.append(len(tasks))
        self.begun.set()
        assert self.go.wait(WAIT_S)
        return map(function, tasks)


class Broken:
    """Is available, and fails."""

    name = "broken"
    description = "fails"
    type: Literal["hardware"] = "hardware"

    def is_available(self) -> bool:
        return True

    def map(
        self, function: Callable[[T], R], tasks: Sequence[T], *, n_jobs: int = 1
    ) -> Iterator[R]:
        raise RuntimeError(f"secret /path of {function}, {len(tasks)}, {n_jobs}")


class Away(Broken):
    """Is not available."""

    name = "away"

    def is_available(self) -> bool:
        return False
