"""Forward a request over HTTP as a request on the bus, with an unchanged body.

The bus validates; the gateway does not change the request.
"""

from __future__ import annotations

from functools import partial

from fastapi import Request
from fastapi.responses import Response

from cwt_gateway.caller import Caller
from cwt_gateway.media import accepted, body_type, respond
from cwt_gateway.reply_budget import hold_reply
from cwt_schemas.codec import ContentType
from cwt_schemas.endpoints import Endpoint
from cwt_schemas.errors import PayloadTooLarge
from pycwt_client.request import ask_packed

__all__ = ["body_of", "forward", "relay"]


async def relay(
    request: Request, caller: Caller, endpoint: Endpoint, *, timeout_s: float
) -> Response:
    """Send the body of `request` to `endpoint`, and return its reply.

    Raises
    ------
    ContractError
        The refusal of the bus.
    ProblemDetails
        The encoding of the body, or the requested one, is not supported.
    """
    media = accepted(request)
    packed = await forward(request, caller, endpoint, timeout_s=timeout_s)
    return await respond(request, packed, media)


async def forward(
    request: Request, caller: Caller, endpoint: Endpoint, *, timeout_s: float
) -> bytes:
    """Send the body of `request` to `endpoint`, and return its reply in msgpack.

    Raises
    ------
    ContractError, ProblemDetails
        As in `relay`.
    """
    kind = body_type(request)
    body = await body_of(request, caller)
    return await ask_packed(
        caller.bus,
        endpoint.subject,
        body,
        kind,
        timeout_s=timeout_s,
        admit=partial(hold_reply, request),
    )


async def body_of(request: Request, caller: Caller) -> bytes:
    """Return the body of a request if it fits into a message of the bus.

    Raises
    ------
    PayloadTooLarge
        The body is too large.
    """
    body = await request.body()
    if len(body) > caller.bus.max_message_bytes:
        raise PayloadTooLarge(
            f"cannot send {len(body)} bytes: the limit is {caller.bus.max_message_bytes}; send "
            f"less per request, or use {ContentType.MSGPACK.value}, which is smaller",
            {"size": len(body), "limit": caller.bus.max_message_bytes},
        )
    return body
