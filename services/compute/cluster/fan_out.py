"""Shares of a simulation to all workers that have time, and to this one."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import anyio.to_thread

from schemas import subjects
from schemas.codec import ContentType, content_type_of, decode, encode
from schemas.errors import ContractError, ErrorBody
from schemas.headers import CONTENT_TYPE, SERVICE_ERROR_CODE
from schemas.simulation import SimulateReply, SimulateRequest
from services.compute.cluster.ledger import Ledger
from services.compute.cluster.shares import answer_simulate
from services.runtime.bus import Bus
from services.runtime.bus.errors import BusError

__all__ = ["Compute", "fan_out", "in_a_thread"]

#: Shares that others have at the same time: more workers than this help no further.
MAX_REQUESTS = 32
#: A share takes a tenth of a second, or in a simulation for a precision some seconds; whatever is
#: out for longer, the coordinator has computed itself by then.
SHARE_TIMEOUT_S = 60.0
#: Until a worker that had no time, or was not there, is asked again; doubled each time.
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0

Compute = Callable[[SimulateRequest], Awaitable[SimulateReply]]


async def in_a_thread(request: SimulateRequest) -> SimulateReply:
    """Compute a share in a thread of this process; whoever coordinates waits in one meanwhile."""
    return await anyio.to_thread.run_sync(
        partial(answer_simulate, request), limiter=anyio.CapacityLimiter(1)
    )


async def fan_out(
    bus: Bus, requests: Sequence[SimulateRequest], compute: Compute = in_a_thread
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
