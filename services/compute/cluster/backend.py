"""The backend `cluster`: what the library asks for in a thread, all workers compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import Literal, TypeVar, cast

from pycwt_mod.significance.surrogates import SurrogateTask, run_task
from services.compute.cluster.fan_out import Compute, fan_out, in_a_thread
from services.compute.cluster.shares import histograms_of, request_of, shares_of
from services.runtime.rpc.endpoint import request_context

__all__ = ["ClusterBackend", "own_shares"]

T = TypeVar("T")
R = TypeVar("R")

_OWN: ContextVar[Compute] = ContextVar("own_shares", default=in_a_thread)


@contextmanager
def own_shares(compute: Compute) -> Iterator[None]:
    """Have what is started inside compute this worker's own shares with `compute`."""
    token = _OWN.set(compute)
    try:
        yield
    finally:
        _OWN.reset(token)


class ClusterBackend:
    """Spreads the tasks of a simulation over all compute workers on the bus.

    The histograms are those of every other backend, bit for bit, on workers with the same versions
    of the numerical libraries: seeds belong to tasks, and sums are taken in their order.
    """

    name = "cluster"
    description = "all compute workers on the bus, this one among them"
    type: Literal["cluster"] = "cluster"
    uses_n_jobs = False

    def is_available(self) -> bool:
        """Return whether this is a service, which has a bus."""
        return request_context().bus is not None

    def map(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        n_jobs: int = 1,  # noqa: ARG002 - as many as have time
    ) -> Iterator[R]:
        """Yield ``function(task)`` in the order of `tasks`.

        Raises
        ------
        ValueError
            There is no bus, or `function` is not the library's simulation: code doesn't travel.
        """
        bus = request_context().bus
        if bus is None:
            raise ValueError("backend='cluster' needs a compute worker: send a query or a job")
        if function is not cast("object", run_task):
            raise ValueError("backend='cluster' runs the library's own simulations alone")
        shares = shares_of(cast("Sequence[SurrogateTask]", tasks))
        requests = tuple(map(request_of, shares))
        replies = bus.run(fan_out, bus.bus, requests, _OWN.get())
        found = (histograms_of(*each) for each in zip(replies, shares, strict=True))
        return cast("Iterator[R]", chain.from_iterable(found))
