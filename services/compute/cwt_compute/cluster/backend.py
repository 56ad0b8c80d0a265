"""The backend `cluster`: what the library asks for in a thread, all workers compute.

Shares go to all workers that have time, and to this one.
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
from cwt_schemas.query import SimulateReply, SimulateRequest
from pycwt_mod.significance.surrogates import SurrogateTask, run_task

__all__ = ["ClusterBackend", "own_shares"]

T = TypeVar("T")
R = TypeVar("R")

Compute = Callable[[SimulateRequest], Awaitable[SimulateReply]]

#: Shares that others have at the same time: more workers than this help no further.
MAX_REQUESTS = 32
#: A share takes a tenth of a second, or in a simulation for a precision some seconds; whatever is
#: out for longer, the coordinator has computed itself by then.
SHARE_TIMEOUT_S = 60.0
#: Until a worker that had no time, or was not there, is asked again; doubled each time.
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


async def _in_a_thread(request: SimulateRequest) -> SimulateReply:
    """Compute a share in a thread of this process; the caller of the backend waits in another."""
    return await anyio.to_thread.run_sync(
        partial(answer_simulate, request), limiter=anyio.CapacityLimiter(1)
    )


_OWN: ContextVar[Compute] = ContextVar("own_shares", default=_in_a_thread)


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
            raise ValueError("backend='cluster' runs only simulations of the library")
        shares = shares_of(cast("Sequence[SurrogateTask]", tasks))
        requests = tuple(map(request_of, shares))
        replies = bus.run(_fan_out, bus.bus, requests, _OWN.get())
        found = (histograms_of(*each) for each in zip(replies, shares, strict=True))
        return cast("Iterator[R]", chain.from_iterable(found))


async def _fan_out(
    bus: Bus, requests: Sequence[SimulateRequest], compute: Compute
) -> tuple[SimulateReply, ...]:
    """Return the replies in the order of the requests, whoever computed them.

    Raises
    ------
    ContractError
        A share cannot be computed, here or anywhere.
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
    """Compute until all shares have results; return what went wrong, for outside of the group."""
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
            # No time, nobody there, or another version: somebody else, or later.
            ledger.release(share)
            # Jitter spreads retries; it has nothing to do with secrets.
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
    given = content_type_of(reply.headers)
    if SERVICE_ERROR_CODE in reply.headers:
        raise decode(ErrorBody, reply.data, given).exception()
    return decode(SimulateReply, reply.data, given)
