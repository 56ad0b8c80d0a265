"""A request-reply endpoint as a value, and the processing of one request.

Every request gets a reply: the model, or an error body with the two service-error headers. An
exception other than `ContractError` is reported as `internal` with an id that is in the log; its
text is not sent to the client.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cwt_runtime.bus import Bus, Message
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.admission import SMALL_BYTES, Admission
from cwt_runtime.rpc.context import Early, serving_request
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage
from cwt_schemas.codec import ContentType, content_type_of, decode, encode, reply_type
from cwt_schemas.endpoints import Endpoint as Contract
from cwt_schemas.errors import ContractError, Internal, PayloadTooLarge, Unavailable
from cwt_schemas.headers import CONTENT_TYPE, EARLY
from cwt_schemas.limits import MAX_REPLY_BYTES
from cwt_schemas.message import Message as Model
from cwt_schemas.message import StoredReply

__all__ = ["Endpoint", "Reply", "answer", "error_reply"]

#: Minimum size of a number, bytes: a float32 in msgpack, ``0.0,`` in JSON.
MIN_NUMBER_BYTES = {ContentType.MSGPACK: 4, ContentType.JSON: 4}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Body and headers of a reply, and its error if it is an error reply."""

    data: bytes
    headers: Mapping[str, str]
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A subject that accepts requests: its contract, handler and limits."""

    contract: Contract
    #: Called with `request_context()` set to the context of the request.
    handle: Callable[[Any], Awaitable[Model]]
    #: Number of values in the reply, computed from the request alone; None: few.
    reply_numbers: Callable[[Any], int] | None = None
    #: Whether messages are decoded and encoded in a thread instead of on the loop. Large requests
    #: always are.
    off_loop: bool = False
    #: Maximum number of requests processed concurrently.
    concurrency: int = 4
    #: Maximum number of waiting requests; more are refused as `overloaded`.
    waiting: int = 64

    @property
    def name(self) -> str:
        """The last token of the subject that is not a wildcard."""
        return self.contract.subject.removesuffix(".*").rpartition(".")[2]

    def least_bytes(self, request: Model, accepted: ContentType) -> int:
        """Return a lower bound of the reply's size, bytes, from the request; 0 if unknown."""
        numbers = 0 if self.reply_numbers is None else self.reply_numbers(request)
        return numbers * MIN_NUMBER_BYTES[accepted]


async def answer(
    endpoint: Endpoint, message: Message, log: Log, bus: Bus, admission: Admission
) -> Reply:
    """Decode and handle one request, and return the reply; raises only on cancellation.

    A msgpack reply that is too large for a message is stored in the object store, and the reply
    refers to it. In JSON, which people and small programs use, the reply is `payload_too_large`.
    """
    accepted = reply_type(message.headers)

    async def coded(work: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        off_loop = endpoint.off_loop or len(message.data) > SMALL_BYTES
        return await admission.in_codec_thread(work, *arguments) if off_loop else work(*arguments)

    try:
        sent_as = content_type_of(message.headers)
        request = await coded(decode, endpoint.contract.request, message.data, sent_as)
        least = endpoint.least_bytes(request, accepted)
        limit = bus.max_message_bytes if accepted is ContentType.JSON else MAX_REPLY_BYTES
        if least > limit:
            raise _too_large(least, limit, accepted)
        early = Early.of(bus, message, accepted)
        async with admission.reply_slot(large=least > bus.max_message_bytes):
            with serving_request(message, early):
                result = await endpoint.handle(request)
            write = partial(encode, max_bytes=None, without=early.sent)
            data = await coded(write, result, accepted)
            if len(data) > bus.max_message_bytes:
                if accepted is ContentType.JSON:
                    raise _too_large(len(data), bus.max_message_bytes, accepted)
                data = encode(await _stored(data, bus), accepted)
        headers = {CONTENT_TYPE: accepted.value, **({EARLY: "1"} if early.sent else {})}
        return Reply(data=data, headers=headers)
    except ContractError as error:
        # The error and the future of its thread refer to each other. Until the garbage collector
        # runs, the frames hold the decoded request, ten times its size in JSON.
        error.__traceback__ = None
        # A fault of the client, of interest only to an operator who looks for it.
        log.debug(Action.REQUEST_REFUSED, endpoint=endpoint.name, code=error.code.value)
        return error_reply(error, accepted)
    except Exception as error:  # noqa: BLE001 - the last line of defence for the client
        fault = secrets.token_hex(6)
        log.error(Action.REQUEST_FAILED, exc=error, endpoint=endpoint.name, fault=fault)
        return error_reply(
            Internal(f"internal error of the service; its log has the cause under the id {fault}"),
            accepted,
        )


async def _stored(data: bytes, bus: Bus) -> StoredReply:
    """Store an encoded reply in the object store and return a reference to it."""
    try:
        replies = await bus.log.objects(storage.REPLIES)
        return StoredReply(object=await replies.put(f"reply-{secrets.token_hex(16)}", data))
    except BusError as error:
        raise Unavailable(
            f"the reply has {len(data)} bytes, more than a message can carry, and the object store "
            f"refused it ({error}): request float32 or fewer scales, or retry",
            {"size": len(data), "limit": bus.max_message_bytes},
        ) from error


def _too_large(size: int, limit: int, accepted: ContentType) -> PayloadTooLarge:
    """Return the error for a reply of `size` bytes that exceeds `limit`."""
    advice = (
        "request msgpack (header Accept: application/msgpack), float32, or fewer scales"
        if accepted is ContentType.JSON
        else "request float32 or fewer scales, or split the signal"
    )
    return PayloadTooLarge(
        f"the reply has at least {size} bytes, at most {limit} are allowed: {advice}",
        {"size": size, "limit": limit},
    )


def error_reply(error: ContractError, accepted: ContentType) -> Reply:
    """Return the reply that carries `error` in its body and its headers."""
    return Reply(
        data=encode(error.body(), accepted),
        headers={CONTENT_TYPE: accepted.value, **error.headers()},
        error=f"{error.code}: {error.message}",
    )
