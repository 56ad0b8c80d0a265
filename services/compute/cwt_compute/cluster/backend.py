"""The backend `cluster`: distribute a simulation of the library over all workers.

Shares go to this worker and to all others that are free.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import chain
from typing import Literal, TypeVar, cast

import anyio
import anyio.to_thread

from cwt_compute.cluster.shares import (
    Ledger,
    answer_simulate,
    histograms_of,
    request_of,
    shares_of,
)
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.context import request_context
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import ContractError, ErrorBody
from cwt_schemas.headers import CONTENT_TYPE, SERVICE_ERROR_CODE
from cwt_schemas.simulation import SimulateReply, SimulateRequest
from pycwt_mod.significance.surrogates import SurrogateTask, run_task

__all__ = ["ClusterBackend", "own_shares"]

T = TypeVar("T")
R = TypeVar("R")

Compute = Callable[[SimulateRequest], Awaitable[SimulateReply]]

#: Maximum number of shares at other workers; more workers do not help.
MAX_REQUESTS = 32
#: Time-out of a share, seconds. A share takes a tenth of a second, or some seconds in a simulation
#: for a given precision; the coordinator itself computes shares that take longer.
SHARE_TIMEOUT_S = 60.0
#: Delay before another request after a refusal or failure, seconds; doubled each time.
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


async def _in_a_thread(request: SimulateRequest) -> SimulateReply:
    """Compute a share in a thread of this process; the backend's caller waits in another."""
    return await anyio.to_thread.run_sync(
        partial(answer_simulate, request), limiter=anyio.CapacityLimiter(1)
    )


_OWN: ContextVar[Compute] = ContextVar("own_shares", default=_in_a_thread)


@contextmanager
def own_shares(compute: Compute) -> Iterator[None]:
    """Compute this worker's shares with `compute` in simulations started inside the context."""
    token = _OWN.set(compute)
    try:
        yield
    finally:
        _OWN.reset(token)


class ClusterBackend:
    """Distribute the tasks of a simulation over all compute workers on the bus.

    The histograms equal those of every other backend bit for bit, on workers with the same versions
    of the numerical libraries, because seeds belong to tasks and sums are taken in task order.
    """

    name = "cluster"
    description = "all compute workers on the bus, this one among them"
    type: Literal["cluster"] = "cluster"
    uses_n_jobs = False

    def is_available(self) -> bool:
        """Return whether the caller runs in a service, which has a bus."""
        return request_context().bus is not None

    def map(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        n_jobs: int = 1,  # noqa: ARG002 - uses all free workers
    ) -> Iterator[R]:
        """Yield ``function(task)`` in the order of `tasks`.

        Raises
        ------
        ValueError
            There is no bus, or `function` is not the library's simulation: code is not sent.
        """
        bus = request_context().bus
        if bus is None:
            raise ValueError("backend='cluster' needs a compute worker: send a query or a job")
        if function is not cast("object", run_task):
            raise ValueError("backend='cluster' runs only simulations of the library")
        shares = shares_of(cast("Sequence[SurrogateTask]", tasks))
        requests = tuple(map(request_of, shares))
        replies = bus.run(_fan_out, bus.bus, requests, _OWN.get())
        histograms = (histograms_of(*each) for each in zip(replies, shares, strict=True))
        return cast("Iterator[R]", chain.from_iterable(histograms))


async def _fan_out(
    bus: Bus, requests: Sequence[SimulateRequest], compute: Compute
) -> tuple[SimulateReply, ...]:
    """Compute the shares here and on other workers; return the replies in request order.

    Raises
    ------
    ContractError
        A share cannot be computed on any worker.
    """
    ledger = Ledger[SimulateReply](len(requests))
    async with anyio.create_task_group() as requesters:
        for _ in range(min(MAX_REQUESTS, len(requests) - 1)):
            requesters.start_soon(_ask_others, bus, requests, ledger)
        failure = await _compute_own(compute, requests, ledger)
        requesters.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return ledger.results()


async def _compute_own(
    compute: Compute, requests: Sequence[SimulateRequest], ledger: Ledger[SimulateReply]
) -> Exception | None:
    """Compute shares until all have results; return an error for the caller to raise."""
    try:
        while (share := ledger.take_for_self()) is not None:
            ledger.arrived(share, await compute(requests[share]))
    except Exception as error:  # noqa: BLE001 - raised by the caller
        return error
    return None


async def _ask_others(
    bus: Bus, requests: Sequence[SimulateRequest], ledger: Ledger[SimulateReply]
) -> None:
    pause_s = FIRST_PAUSE_S
    while (share := ledger.take_for_other()) is not None:
        try:
            reply = await _ask(bus, requests[share])
        except (BusError, ContractError):
            # Busy, no worker, or a different version: retry later, perhaps on another worker.
            ledger.release(share)
            # Jitter, not a secret.
            await anyio.sleep(pause_s * (0.5 + random.random()))  # noqa: S311
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            ledger.arrived(share, reply)
            pause_s = FIRST_PAUSE_S


async def _ask(bus: Bus, request: SimulateRequest) -> SimulateReply:
    reply = await bus.request(
        subjects.query("simulate"),
        encode(request, ContentType.MSGPACK),
        {CONTENT_TYPE: ContentType.MSGPACK.value},
        timeout_s=SHARE_TIMEOUT_S,
    )
    encoding = content_type_of(reply.headers)
    if SERVICE_ERROR_CODE in reply.headers:
        raise decode(ErrorBody, reply.data, encoding).exception()
    return decode(SimulateReply, reply.data, encoding)
