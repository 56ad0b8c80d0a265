"""Compute shares of other workers' simulations if a compute process is free."""

from __future__ import annotations

from cwt_compute.processes import (
    ComputeProcess,
    IpcKind,
    ProcessPool,
)
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_schemas import subjects
from cwt_schemas.endpoints import QUERY_ENDPOINTS
from cwt_schemas.errors import Overloaded
from cwt_schemas.simulation import SimulateReply, SimulateRequest

__all__ = ["compute_share", "simulate_endpoint"]


def simulate_endpoint(pool: ProcessPool) -> Endpoint:
    """Return the endpoint ``cwt.query.simulate``, which refuses requests instead of queueing."""

    async def handle(request: SimulateRequest) -> SimulateReply:
        with pool.free_one() as process:
            if process is None:
                raise Overloaded("this worker is busy: retry later")
            return await compute_share(process, request)

    return Endpoint(
        contract=QUERY_ENDPOINTS[subjects.query("simulate")],
        handle=handle,
        # One more than there are compute processes, so that a further request is refused.
        concurrency=pool.size + 1,
    )


async def compute_share(process: ComputeProcess, request: SimulateRequest) -> SimulateReply:
    """Return the histograms of a share.

    Raises
    ------
    ContractError
        The share is invalid, or the compute process failed or died.
    """
    return await process.reply(IpcKind.SHARE, request, SimulateReply)
