"""Queries: transforms, thresholds, backends, hardware, benchmark."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cwt_gateway.caller import Caller, Calling
from cwt_gateway.contract import contract
from cwt_gateway.media import accepted, respond, respond_message
from cwt_gateway.relay import forward, relay
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, decode, encode, validated
from cwt_schemas.endpoints import QUERY_ENDPOINTS
from cwt_schemas.errors import NotFound, Unprocessable
from cwt_schemas.http import BenchmarkReport, HardwareReport
from cwt_schemas.message import Message
from cwt_schemas.query import (
    BackendInfo,
    BackendRequest,
    BackendsReply,
    BackendsRequest,
    BenchmarkReply,
    BenchmarkRequest,
)
from cwt_schemas.subjects import QueryOp
from pycwt_client.request import ASK_TIMEOUT_S, COMPUTE_TIMEOUT_S, ask_packed

__all__ = ["router"]

router = APIRouter(prefix="/api/v1")

SUMMARIES: Final[dict[QueryOp, str]] = {
    "cwt": "Wavelet transform of a signal",
    "xwt": "Cross-wavelet transform of two signals",
    "wct": "Wavelet coherence of two signals",
    "pwct": "Partial coherence of two signals given others",
    "mwct": "Multiple coherence of a signal with others",
    "significance": "Significance threshold of coherence",
}


def _add_transform(op: QueryOp) -> None:
    endpoint = QUERY_ENDPOINTS[subjects.query(op)]

    @router.post(f"/wavelet/{op}", summary=SUMMARIES[op], operation_id=op, tags=["wavelet"])
    @contract(request=endpoint.request, reply=endpoint.reply)
    async def transform(request: Request, caller: Calling) -> Response:
        return await relay(request, caller, endpoint, timeout_s=COMPUTE_TIMEOUT_S)


for _op in SUMMARIES:
    _add_transform(_op)


@router.get("/backends/", summary="Monte Carlo backends", tags=["system"])
@contract(reply=BackendsReply)
async def backends(request: Request, caller: Calling) -> Response:
    """Return the Monte Carlo backends, with the reason for those that are not available."""
    return await _answer(request, caller, "backends", BackendsRequest())


@router.get("/backends/{name}", summary="Monte Carlo backend", tags=["system"])
@contract(reply=BackendInfo)
async def backend(request: Request, caller: Calling, name: str) -> Response:
    """Return one backend; status 404 if none has this name."""
    try:
        message = validated(BackendRequest, {"name": name})
    except Unprocessable:
        raise NotFound("invalid backend name") from None
    return await _answer(request, caller, "backend", message)


@router.get("/hardware/detect", summary="Available hardware", tags=["system"])
@contract(reply=HardwareReport)
async def hardware(request: Request, caller: Calling) -> Response:
    """Return the status of FPGA, microcontroller, GPU and processor."""
    hardware = await caller.client.hardware()
    return await respond_message(request, HardwareReport.of(hardware))


@router.post("/benchmark", summary="Benchmark of the backends", tags=["system"])
@contract(request=BenchmarkRequest, reply=BenchmarkReport)
async def benchmark(request: Request, caller: Calling) -> Response:
    """Time a coherence on each backend; unknown or unavailable ones have status ``failed``."""
    media = accepted(request)
    endpoint = QUERY_ENDPOINTS[subjects.query("benchmark")]
    packed = await forward(request, caller, endpoint, timeout_s=COMPUTE_TIMEOUT_S)
    report = BenchmarkReport.of(decode(BenchmarkReply, packed, ContentType.MSGPACK))
    return await respond(request, encode(report, ContentType.MSGPACK), media)


async def _answer(request: Request, caller: Caller, op: QueryOp, message: Message) -> Response:
    """Return the reply to a query that has no body over HTTP."""
    media = accepted(request)
    packed = await ask_packed(
        caller.bus,
        subjects.query(op),
        encode(message, ContentType.MSGPACK),
        ContentType.MSGPACK,
        timeout_s=ASK_TIMEOUT_S,
    )
    return await respond(request, packed, media)
