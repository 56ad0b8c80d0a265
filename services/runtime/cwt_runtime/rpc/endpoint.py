"""A request-reply endpoint as a value, what its handler may use, and the answer to one request.

Every outcome is a reply: the model, or an error body with the two service-error headers. What is
not a `ContractError` becomes `internal` with an id that is in the log, and nothing of its text
goes out.

**The context of a request.** The library calls a Monte Carlo backend in a worker thread, without a
bus, a client or a reply among its arguments. A service opens one context where it starts, and one
for each request; tasks and their worker threads that are started inside inherit both::

    with service_context(bus):
        ...  # anyio.to_thread.run_sync(work): inside of `work`, request_context().bus is that bus

A NATS client gives each of its requests a reply subject under its own prefix, such as
``_INBOX.<connection>.<request>``. So the part before the last token is the same for all requests of
one connection, and differs between connections. It does not authenticate a client, which may name
any reply subject: it serves to share a device fairly, not to protect it.

**Fields sent ahead of the rest**, while the rest is still being computed. A client that can put
them together names an inbox for them (header ``Cwt-Early``). The thread that computes an answer
passes whole fields of the reply to `Early.send_from_thread`; they are sent to that inbox
immediately, as one message in msgpack, and left out of the reply, whose header ``Cwt-Early`` says
so. For any other client nothing is sent ahead, and the reply has all fields. See
`docs/decisions/0049-answers-ahead.md`.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

import anyio
import anyio.from_thread
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from cwt_runtime.bus import Bus, Message
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.admission import Admission
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage
from cwt_schemas.codec import (
    ContentType,
    content_type_of,
    decode,
    encode,
    encode_fields,
    reply_type,
)
from cwt_schemas.endpoints import Endpoint as Contract
from cwt_schemas.errors import ContractError, Internal, PayloadTooLarge, Unavailable
from cwt_schemas.headers import CONTENT_TYPE, EARLY
from cwt_schemas.limits import MAX_REPLY_BYTES
from cwt_schemas.message import Message as Model
from cwt_schemas.message import StoredReply

__all__ = [
    "MIN_EARLY_BYTES",
    "Early",
    "Endpoint",
    "Reply",
    "RequestContext",
    "SyncBus",
    "answer",
    "error_reply",
    "request_context",
    "service_context",
    "serving_request",
]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

#: The fewest bytes that a number takes: a float32 in msgpack, ``0.0,`` in JSON.
MIN_NUMBER_BYTES = {ContentType.MSGPACK: 4, ContentType.JSON: 4}
#: Smaller fields arrive as fast with the rest of the reply.
MIN_EARLY_BYTES = 256 * 1024
#: Of all fields sent ahead, for what is in the message besides the numbers.
EARLY_OVERHEAD_BYTES = 4 * 1024
#: Nothing but an inbox: a service may publish where its clients may not.
INBOX_PREFIX = "_INBOX."


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The bytes and headers that answer a request, and whether they tell of a fault."""

    data: bytes
    headers: Mapping[str, str]
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One subject that answers: what the contract says of it, and the work between."""

    contract: Contract
    #: Inside, `request_context()` is that of the request.
    handle: Callable[[Any], Awaitable[Model]]
    #: Numbers in the reply, as the request tells before any work; None: few.
    reply_numbers: Callable[[Any], int] | None = None
    #: Whether messages may be large: they are decoded and encoded in a thread, not on the loop.
    off_loop: bool = False
    #: Requests worked on at the same time.
    concurrency: int = 4
    #: Requests that may wait for their turn; more are refused as `overloaded`.
    waiting: int = 64

    @property
    def name(self) -> str:
        """The last token of the subject."""
        return self.contract.subject.rpartition(".")[2]

    def least_bytes(self, request: Model, accepted: ContentType) -> int:
        """Return what the reply has at the very least, as the request tells; 0: nobody knows."""
        numbers = 0 if self.reply_numbers is None else self.reply_numbers(request)
        return numbers * MIN_NUMBER_BYTES[accepted]


async def answer(
    endpoint: Endpoint, message: Message, log: Log, bus: Bus, admission: Admission
) -> Reply:
    """Decode, handle and encode one request; never raises but for cancellation.

    A reply too large for a message goes to the object store, which msgpack's readers can follow;
    in JSON, for people and small programs, it becomes `payload_too_large`.
    """
    accepted = reply_type(message.headers)

    async def coded(work: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        off_loop = endpoint.off_loop
        return await admission.in_codec_thread(work, *arguments) if off_loop else work(*arguments)

    try:
        given = content_type_of(message.headers)
        request = await coded(decode, endpoint.contract.request, message.data, given)
        least = endpoint.least_bytes(request, accepted)
        limit = bus.max_message_bytes if accepted is ContentType.JSON else MAX_REPLY_BYTES
        if least > limit:
            raise _too_large(least, limit, accepted)
        early = Early.of(bus, message, accepted)
        async with admission.reply_slot(large=least > bus.max_message_bytes):
            with serving_request(message.reply, early):
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
        # It is in a circle with the future of its thread, and its frames hold what was read of the
        # request, ten times its size in JSON, until the collector of garbage comes.
        error.__traceback__ = None
        # Somebody else's fault: an operator who looks for it asks for it.
        log.debug(Action.REQUEST_REFUSED, endpoint=endpoint.name, code=error.code.value)
        return error_reply(error, accepted)
    except Exception as error:  # noqa: BLE001 - the last line of defence for the client
        fault = secrets.token_hex(6)
        log.error(Action.REQUEST_FAILED, exc=error, endpoint=endpoint.name, fault=fault)
        return error_reply(Internal(f"the service failed; its log knows this as {fault}"), accepted)


async def _stored(data: bytes, bus: Bus) -> StoredReply:
    """Put an encoded reply into the object store and return what tells where it is."""
    try:
        replies = await bus.log.objects(storage.REPLIES)
        return StoredReply(object=await replies.put(f"reply-{secrets.token_hex(16)}", data))
    except BusError as error:
        raise Unavailable(
            f"the reply has {len(data)} bytes, more than a message carries, and the object store "
            f"does not take it ({error}): ask for float32 or fewer scales, or try again",
            {"size": len(data), "limit": bus.max_message_bytes},
        ) from error


def _too_large(size: int, limit: int, accepted: ContentType) -> PayloadTooLarge:
    """Return the error for a reply that no message can carry."""
    advice = (
        "ask for msgpack (header Accept: application/msgpack), float32, or fewer scales"
        if accepted is ContentType.JSON
        else "ask for float32 or fewer scales, or split the signal"
    )
    return PayloadTooLarge(
        f"the reply has at least {size} bytes and {limit} are possible: {advice}",
        {"size": size, "limit": limit},
    )


def error_reply(error: ContractError, accepted: ContentType) -> Reply:
    """Return the reply that carries `error` in its body and its headers."""
    return Reply(
        data=encode(error.body(), accepted),
        headers={CONTENT_TYPE: accepted.value, **error.headers()},
        error=f"{error.code}: {error.message}",
    )


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """The request that is being served; the defaults hold outside of one."""

    #: The bus of the service, None outside of one.
    bus: SyncBus | None = None
    #: The client that sent the request, empty outside of one; see the module.
    client_id: str = ""
    #: Sends fields of the reply ahead, None outside of a request.
    early: Early | None = None


_CURRENT: ContextVar[RequestContext] = ContextVar("request_context")
_NONE = RequestContext()


def request_context() -> RequestContext:
    """Return the context of the request that this task or thread serves."""
    return _CURRENT.get(_NONE)


@contextmanager
def service_context(bus: Bus) -> Iterator[None]:
    """Let what is started while the context is open reach `bus`."""
    with _changed(bus=SyncBus(bus)):
        yield


@contextmanager
def serving_request(reply: str | None, early: Early) -> Iterator[None]:
    """Serve a request while the context is open: of the client that waits at `reply`."""
    with _changed(client_id=_client_id_of(reply), early=early):
        yield


@contextmanager
def _changed(**fields: Any) -> Iterator[None]:  # noqa: ANN401 - the fields of `RequestContext`
    token = _CURRENT.set(replace(request_context(), **fields))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def _client_id_of(reply: str | None) -> str:
    """Return the prefix of all reply subjects of one connection; empty without a reply.

    Examples
    --------
    >>> _client_id_of("_INBOX.Xk2v9T.17")
    '_INBOX.Xk2v9T'
    """
    return (reply or "").rpartition(".")[0]


class SyncBus:
    """The bus of this service, for its worker threads; a call on the event loop is an error.

    A thread waits for the event loop, which continues to serve. When the task that started the
    thread is cancelled, the wait ends, and the cancellation is raised in the thread.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def request(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
    ) -> Message:
        """Send and wait for one answer, as `Bus.request` does.

        Raises
        ------
        NoRespondersError, BusTimeoutError
            As there.
        RuntimeError
            The caller is not in a worker thread of anyio.
        """
        return self.run(partial(self.bus.request, subject, data, headers, timeout_s=timeout_s))

    def run(
        self,
        function: Callable[[*Arguments], Coroutine[Any, Any, T]],
        *arguments: *Arguments,
    ) -> T:
        """Return what `function` returns on the event loop."""
        return anyio.from_thread.run(function, *arguments)


class Early:
    """What is sent ahead of one reply.

    Parameters
    ----------
    bus
        To send it on.
    inbox
        Where to; None if nobody waits for it.
    """

    def __init__(self, bus: Bus, inbox: str | None) -> None:
        self._bus = bus
        self._inbox = inbox
        #: The fields that are on their way.
        self.sent: frozenset[str] = frozenset()

    @classmethod
    def of(cls, bus: Bus, request: Message, accepted: ContentType) -> Early:
        """Return what the sender of a request wants."""
        inbox = request.headers.get(EARLY, "")
        usable = inbox.startswith(INBOX_PREFIX) and accepted is ContentType.MSGPACK
        return cls(bus, inbox if usable else None)

    def takes(self, size: int) -> bool:
        """Return whether fields with so many bytes of numbers may go ahead."""
        largest = self._bus.max_message_bytes - EARLY_OVERHEAD_BYTES
        return self._inbox is not None and not self.sent and MIN_EARLY_BYTES <= size <= largest

    async def _send(self, names: frozenset[str], body: bytes) -> None:
        """Send the fields; if that fails, they are in the reply like the others."""
        if self._inbox is None:
            return
        try:
            await self._bus.publish(self._inbox, body, {CONTENT_TYPE: ContentType.MSGPACK.value})
        except BusError:
            return
        self.sent = names

    def send_from_thread(self, fields: Mapping[str, NDArray[np.inexact[Any]]]) -> None:
        """Send fields ahead, from the thread that computes the reply, if they may go."""
        if self.takes(sum(each.nbytes for each in fields.values())):
            anyio.from_thread.run(self._send, frozenset(fields), encode_fields(fields))
