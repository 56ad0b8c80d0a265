"""Send one request, and read its reply, from the object store if it is large."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus.errors import BusError, BusTimeoutError, ForbiddenError, NoRespondersError
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import (
    ContractError,
    ErrorBody,
    Forbidden,
    Internal,
    Timeout,
    Unavailable,
)
from cwt_schemas.headers import ACCEPT, CONTENT_TYPE, EARLY, SERVICE_ERROR_CODE
from cwt_schemas.message import Message, StoredObject, StoredReply

__all__ = ["ASK_TIMEOUT_S", "COMPUTE_TIMEOUT_S", "Reply", "ask", "ask_packed", "fetch"]


#: Deadline of requests that compute nothing, seconds. They take milliseconds; this covers a service
#: that is just starting.
ASK_TIMEOUT_S = 5.0
#: Deadline of queries, seconds. A query may compute for about half a minute, and wait as long for
#: others before it.
COMPUTE_TIMEOUT_S = 90.0
#: First bytes in msgpack of a map with the single key ``object``.
_STORED = b"\x81\xa6object"
Reply = TypeVar("Reply", bound=Message)


async def ask(
    bus: Bus,
    subject: str,
    request: Message,
    reply: type[Reply],
    *,
    timeout_s: float,
    early: bool = False,
) -> Reply:
    """Send one request, encoded in msgpack, and return its reply, also from the object store.

    With `early`, the service may send fields that are ready before the rest of the reply.

    Raises
    ------
    ContractError
        The refusal of the service; `Unavailable` if no service is subscribed to the subject;
        `Timeout` without a reply within `timeout_s`.
    ValueError
        `timeout_s` is negative or NaN.
    """
    if not timeout_s >= 0:
        raise ValueError(f"{timeout_s=} must be >= 0")
    headers = {CONTENT_TYPE: ContentType.MSGPACK.value, ACCEPT: ContentType.MSGPACK.value}
    body = encode(request, ContentType.MSGPACK)
    first = b""
    try:
        if early:
            answer, first = await _request_with_early(bus, subject, body, headers, timeout_s)
        else:
            answer = await bus.request(subject, body, headers, timeout_s=timeout_s)
    except BusError as error:
        raise _refusal(subject, timeout_s, error) from error
    return decode(
        reply,
        await _reply_of(bus, answer),
        ContentType.MSGPACK,
        max_bytes=None,
        early=first,
        ignore_unknown=True,
        trusted=True,
    )


async def ask_packed(
    bus: Bus,
    subject: str,
    body: bytes,
    content_type: ContentType,
    *,
    timeout_s: float,
    admit: Callable[[int], None] = lambda _size: None,
) -> bytes:
    """Send an encoded request body, and return the encoded reply in msgpack.

    The reply may come from the object store. `admit` is called with its size before it is fetched,
    and may raise to prevent that.

    Raises
    ------
    ContractError
        As `ask`.
    """
    headers = {CONTENT_TYPE: content_type.value, ACCEPT: ContentType.MSGPACK.value}
    try:
        answer = await bus.request(subject, body, headers, timeout_s=timeout_s)
    except BusError as error:
        raise _refusal(subject, timeout_s, error) from error
    return await _reply_of(bus, answer, admit)


async def _reply_of(
    bus: Bus, answer: BusMessage, admit: Callable[[int], None] = lambda _size: None
) -> bytes:
    """Return the reply from an answer, or raise the refusal in it."""
    if SERVICE_ERROR_CODE in answer.headers:
        raise decode(
            ErrorBody, answer.data, content_type_of(answer.headers), ignore_unknown=True
        ).exception()
    if not answer.data.startswith(_STORED):
        return answer.data
    place = decode(StoredReply, answer.data, ContentType.MSGPACK).object
    admit(place.size)
    return await fetch(bus, place)


async def _request_with_early(
    bus: Bus, subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> tuple[BusMessage, bytes]:
    """Return the answer, and the fields sent ahead of it if any."""
    inbox = bus.new_inbox()
    async with bus.subscribe(inbox) as ahead:
        answer = await bus.request(subject, body, {**headers, EARLY: inbox}, timeout_s=timeout_s)
        if EARLY not in answer.headers:
            return answer, b""
        # The early message was sent before the answer on the same connection, so only a loss delays
        # it.
        with anyio.move_on_after(timeout_s):
            return answer, (await anext(aiter(ahead))).data
    raise BusTimeoutError("cannot read the reply: its early part did not arrive; retry")


async def fetch(bus: Bus, place: StoredObject) -> bytes:
    """Return a stored object after checking its SHA-256.

    Raises
    ------
    Unavailable
        The object has expired, or the object store cannot be reached.
    Internal
        The content of the object has changed.
    """
    try:
        kept = await (await bus.log.objects(place.bucket)).get(place.name)
    except ForbiddenError as error:
        raise Forbidden(str(error)) from error
    except BusError as error:
        raise Unavailable(f"cannot read object {place.name}: {error}") from error
    if kept is None:
        raise Unavailable(
            f"cannot read object {place.name}: it is no longer in {place.bucket}; repeat the "
            "query, or raise the age limit (CWT_REPLIES_MAX_AGE_S, CWT_OBJECTS_MAX_AGE_S)"
        )
    if hashlib.sha256(kept).hexdigest() != place.sha256:
        raise Internal(f"cannot use object {place.name}: its SHA-256 is wrong; repeat the query")
    return kept


def _refusal(subject: str, timeout_s: float, error: BusError) -> ContractError:
    if isinstance(error, NoRespondersError):
        return Unavailable(
            f"cannot call {subject}: no service is subscribed; start the services with "
            "`pycwt-mod up`, or list the running ones with `nats micro ls`"
        )
    if isinstance(error, BusTimeoutError):
        return Timeout(f"no reply from {subject} within {timeout_s:g} s")
    if isinstance(error, ForbiddenError):
        return Forbidden(str(error))
    return Unavailable(f"cannot reach {subject}: {error}")
