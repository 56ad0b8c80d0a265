"""The gateway itself: its version, health and metrics."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cwt_gateway.caller import Itself
from cwt_gateway.contract import contract
from cwt_gateway.media import respond_message
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.micro import ping_subject
from cwt_schemas import subjects
from cwt_schemas.errors import ContractError
from cwt_schemas.http import HealthReport, Root
from cwt_schemas.service import HealthReply, HealthRequest
from pycwt_client import Client

__all__ = ["API_VERSION", "router"]

#: Version of this interface; the first number is that of the paths.
API_VERSION: Final = "1.0.0"
#: Name under which the gateway replies to the pings of ADR-32.
SERVICE: Final = "gateway"
#: A worker replies within milliseconds, also while it computes. It waits for ingest, and ingest for
#: the storage, only if something fails.
HEALTH_TIMEOUT_S = 4.0
READY_TIMEOUT_S = 1.0

router = APIRouter(tags=["system"])


@router.get("/", summary="Name, version and paths")
@contract(reply=Root)
async def root(request: Request) -> Response:
    """Return name, version and the paths of the other pages."""
    return await respond_message(request, Root(version=request.app.state.version))


@router.get("/health", summary="Health of the system")
@contract(reply=HealthReport, also=(HTTPStatus.SERVICE_UNAVAILABLE,))
async def health(request: Request, itself: Itself) -> Response:
    """Return the problems of workers, ingest and storage; status 503 if there are any."""
    problems, lag = await _system(itself.client)
    report = HealthReport(
        status="unhealthy" if problems else "healthy",
        api_version=API_VERSION,
        version=request.app.state.version,
        lag=lag,
        problems=tuple(problems),
    )
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return await respond_message(request, report, status=status)


@router.get("/livez", summary="Liveness of the process", include_in_schema=False)
async def livez() -> Response:
    """Return 200."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", summary="Readiness: connection to the bus", include_in_schema=False)
async def readyz(itself: Itself) -> Response:
    """Return 200 while the server of the bus answers, else 503."""
    try:
        with anyio.fail_after(READY_TIMEOUT_S):
            await itself.bus.request(ping_subject(SERVICE), b"", timeout_s=READY_TIMEOUT_S)
    except (BusError, TimeoutError):
        return JSONResponse({"status": "unavailable"}, HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"status": "ready"})


@router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics() -> Response:
    """Return the metrics of this process."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _system(client: Client) -> tuple[list[str], int | None]:
    """Return the current problems, and the number of waiting windows.

    A worker also reports the problems of ingest; without a worker, ingest is asked.
    """
    try:
        reply = await client.health(timeout_s=HEALTH_TIMEOUT_S)
    except ContractError as error:
        return [f"no worker replies: {error.message}", *await _ingest(client)], None
    if reply.status == "ok" or reply.problems:
        return list(reply.problems), reply.lag
    return [f"a worker is {reply.status}"], reply.lag


async def _ingest(client: Client) -> list[str]:
    where = subjects.stream("health")
    try:
        reply = await client.ask(where, HealthRequest(), HealthReply, timeout_s=HEALTH_TIMEOUT_S)
    except ContractError as error:
        return [f"no ingest replies: {error.message}"]
    return list(reply.problems)
