"""One question and its answer, wherever the answer lies."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import TypeVar

import anyio

from schemas.codec import ContentType, content_type_of, decode, encode
from schemas.errors import ContractError, ErrorBody, Internal, Timeout, Unavailable
from schemas.headers import ACCEPT, CONTENT_TYPE, EARLY, SERVICE_ERROR_CODE
from schemas.message import Message, StoredObject, StoredReply
from services.runtime.bus import Bus
from services.runtime.bus import Message as BusMessage
from services.runtime.bus.errors import BusError, BusTimeoutError, NoRespondersError

__all__ = ["ask", "fetch"]

Reply = TypeVar("Reply", bound=Message)

#: How a map with the one key ``object`` begins in msgpack.
_STORED = b"\x81\xa6object"


async def ask(
    bus: Bus,
    subject: str,
    request: Message,
    reply: type[Reply],
    *,
    timeout_s: float,
    early: bool = False,
) -> Reply:
    """Send one request, in msgpack, and return its answer, also from the object store.

    With `early`, fields that are ready before the others may come ahead of them.

    Raises
    ------
    ContractError
        What the service refused, as it said it; `Unavailable` when nobody serves the subject,
        `Timeout` when no answer came within `timeout_s`.
    ValueError
        `timeout_s` is negative or no number.
    """
    if not timeout_s >= 0:
        raise ValueError(f"{timeout_s=} has to be at least 0")
    headers = {CONTENT_TYPE: ContentType.MSGPACK.value, ACCEPT: ContentType.MSGPACK.value}
    body = encode(request, ContentType.MSGPACK)
    first = b""
    try:
        if early:
            answer, first = await _in_two(bus, subject, body, headers, timeout_s)
        else:
            answer = await bus.request(subject, body, headers, timeout_s=timeout_s)
    except BusError as error:
        raise _refusal(subject, timeout_s, error) from error
    if SERVICE_ERROR_CODE in answer.headers:
        raise _told(answer)
    if answer.data.startswith(_STORED):
        place = decode(StoredReply, answer.data, ContentType.MSGPACK).object
        kept = await fetch(bus, place)
        return decode(reply, kept, ContentType.MSGPACK, max_bytes=None)
    return decode(reply, answer.data, content_type_of(answer.headers), early=first)


async def _in_two(
    bus: Bus, subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> tuple[BusMessage, bytes]:
    """Return the answer, and what was sent ahead of it or nothing."""
    inbox = f"_INBOX.{secrets.token_hex(11)}"
    async with bus.subscribe(inbox) as ahead:
        answer = await bus.request(subject, body, {**headers, EARLY: inbox}, timeout_s=timeout_s)
        if EARLY not in answer.headers:
            return answer, b""
        # It was sent before the answer, on the same connection; only a loss keeps it away.
        with anyio.move_on_after(timeout_s):
            return answer, (await anext(aiter(ahead))).data
    raise BusTimeoutError("what was sent ahead of the answer did not come")


async def fetch(bus: Bus, place: StoredObject) -> bytes:
    """Return an object as it was put, proved by its SHA-256.

    Raises
    ------
    Unavailable
        It has expired, or the object store cannot be reached.
    Internal
        It is not what was put there.
    """
    try:
        kept = await (await bus.log.objects(place.bucket)).get(place.name)
    except BusError as error:
        raise Unavailable(f"the object {place.name} cannot be reached: {error}") from error
    if kept is None:
        raise Unavailable(
            f"the object {place.name} is not in {place.bucket} any more: ask again, or let "
            "objects live longer (CWT_REPLIES_MAX_AGE_S, CWT_OBJECTS_MAX_AGE_S)"
        )
    if hashlib.sha256(kept).hexdigest() != place.sha256:
        raise Internal(f"the object {place.name} is not what was stored: its SHA-256 differs")
    return kept


def _told(answer: BusMessage) -> ContractError:
    body = decode(ErrorBody, answer.data, content_type_of(answer.headers))
    return body.exception()


def _refusal(subject: str, timeout_s: float, error: BusError) -> ContractError:
    if isinstance(error, NoRespondersError):
        return Unavailable(
            f"nobody serves {subject}: start the services with `pycwt-mod up`, "
            "or look with `nats micro ls` which ones run"
        )
    if isinstance(error, BusTimeoutError):
        return Timeout(f"no answer from {subject} within {timeout_s:g} s")
    return Unavailable(f"{subject} cannot be reached: {error}")
