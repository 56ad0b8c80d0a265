"""Markers: notes about points in time of a stream."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cwt_gateway.caller import Calling
from cwt_gateway.contract import contract
from cwt_gateway.media import accepted, body_type, respond_message
from cwt_gateway.relay import body_of
from cwt_gateway.streams import known_name
from cwt_runtime.reading import read_body
from cwt_runtime.retry import RetryPolicy
from cwt_schemas.codec import decode
from cwt_schemas.http import MarkerNote
from cwt_schemas.marker import Marker

__all__ = ["router"]

#: No retries: the client of the gateway retries.
ONCE: Final = RetryPolicy(max_tries=1)

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


@router.post("/{name}/markers", summary="Set a marker", status_code=HTTPStatus.CREATED)
@contract(request=MarkerNote, reply=Marker, status=HTTPStatus.CREATED)
async def post_marker(request: Request, caller: Calling, name: str) -> Response:
    """Store a marker at a sample, at a time, or at the next sample that arrives."""
    accepted(request)
    kind = body_type(request)
    body = await body_of(request, caller)
    note = await read_body(len(body), decode, MarkerNote, body, kind)
    marker = await caller.client.mark(known_name(name), **note.model_dump(), retry=ONCE)
    return await respond_message(request, marker, status=HTTPStatus.CREATED)
