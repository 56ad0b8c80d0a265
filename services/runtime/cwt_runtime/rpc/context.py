"""The context of the request being served, and reply fields that are sent ahead of the reply.

**The context of a request.** The library calls a Monte Carlo backend in a worker thread, without a
bus, a client or a reply among its arguments. A service opens one context when it starts, and one
for each request; tasks and worker threads started inside inherit both::

    with service_context(bus):
        ...  # anyio.to_thread.run_sync(work): inside of `work`, request_context().bus is that bus

A NATS client gives each of its requests a reply subject under its own prefix, such as
``_INBOX.<connection>.<request>``. The part before the last token is therefore the same for all
requests of one connection, and differs between connections. It identifies a client for fair sharing
of a device, but does not authenticate it: a client may name any reply subject.

**Fields sent ahead.** A reply can arrive in two parts: large fields as soon as they are computed,
and the rest later. A client that supports this names an inbox for the first part in the header
``Cwt-Early``. The thread that computes the reply passes complete fields to
`Early.send_from_thread`, which sends them to that inbox as one msgpack message. They are then
omitted from the reply, which has the header ``Cwt-Early`` too. Other clients get all fields in the
reply. See `docs/decisions/0049-early-coherence.md`.

This module imports neither the log nor the settings: the library imports it with a backend, and the
fork server before it forks.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

import anyio.from_thread
import numpy as np
from numpy.typing import NDArray

from cwt_runtime.bus import Bus, Message
from cwt_runtime.bus.errors import BusError
from cwt_runtime.rpc.caller import NO_CALLER, Caller, caller_of
from cwt_schemas.codec import ContentType, encode_fields
from cwt_schemas.headers import CONTENT_TYPE, EARLY

__all__ = [
    "MIN_EARLY_BYTES",
    "Early",
    "RequestContext",
    "SyncBus",
    "request_context",
    "service_context",
    "serving_request",
]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

#: Minimum size of fields sent ahead, bytes; smaller fields would not arrive earlier.
MIN_EARLY_BYTES = 256 * 1024
#: Size of a message with fields sent ahead, without its numbers, bytes.
EARLY_OVERHEAD_BYTES = 4 * 1024
#: Fields are sent to inboxes only, because a service may publish where its clients may not.
INBOX_PREFIX = "_INBOX."


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """Context of the request being served; the defaults apply outside of a request."""

    #: Bus of the service, or None outside of a service.
    bus: SyncBus | None = None
    #: Subject of the request, empty outside of a request.
    subject: str = ""
    #: Client that sent the request (see the module), empty outside of a request.
    client_id: str = ""
    #: User that sent the request; without a name outside of a request.
    caller: Caller = NO_CALLER
    #: Sends fields ahead of the reply; None outside of a request.
    early: Early | None = None


_CURRENT: ContextVar[RequestContext] = ContextVar("request_context")
_NONE = RequestContext()


def request_context() -> RequestContext:
    """Return the context of the request that this task or thread serves."""
    return _CURRENT.get(_NONE)


@contextmanager
def service_context(bus: Bus) -> Iterator[None]:
    """Make `bus` available to tasks and threads started while the context is open."""
    with _changed(bus=SyncBus(bus)):
        yield


@contextmanager
def serving_request(request: Message, early: Early) -> Iterator[None]:
    """Set the context of `request` while it is being served."""
    client_id, caller = _client_id_of(request.reply), caller_of(request)
    with _changed(subject=request.subject, client_id=client_id, caller=caller, early=early):
        yield


@contextmanager
def _changed(**fields: Any) -> Iterator[None]:  # noqa: ANN401 - the fields of `RequestContext`
    token = _CURRENT.set(replace(request_context(), **fields))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def _client_id_of(reply: str | None) -> str:
    """Return the common prefix of the reply subjects of a connection; empty without a reply.

    Examples
    --------
    >>> _client_id_of("_INBOX.Xk2v9T.17")
    '_INBOX.Xk2v9T'
    """
    return (reply or "").rpartition(".")[0]


class SyncBus:
    """Blocking access to the bus of this service from its worker threads.

    A call on the event loop is an error. A thread waits for the event loop, which continues to
    serve. When the task that started the thread is cancelled, the wait ends, and the cancellation
    is raised in the thread.
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
        """Send a request and wait for one reply, as `Bus.request` does.

        Raises
        ------
        NoRespondersError, BusTimeoutError
            See `Bus.request`.
        RuntimeError
            The caller is not in an anyio worker thread.
        """
        return self.run(partial(self.bus.request, subject, data, headers, timeout_s=timeout_s))

    def run(
        self,
        function: Callable[[*Arguments], Coroutine[Any, Any, T]],
        *arguments: *Arguments,
    ) -> T:
        """Run `function` on the event loop and return its result."""
        return anyio.from_thread.run(function, *arguments)


class Early:
    """Sender of fields ahead of one reply.

    Parameters
    ----------
    bus
        Bus to send on.
    inbox
        Subject to send to; None if the client does not accept fields ahead.
    """

    def __init__(self, bus: Bus, inbox: str | None) -> None:
        self._bus = bus
        self._inbox = inbox
        #: Names of the fields that were sent, which the reply omits.
        self.sent: frozenset[str] = frozenset()

    @classmethod
    def of(cls, bus: Bus, request: Message, accepted: ContentType) -> Early:
        """Return the sender of early fields for a request, according to its headers."""
        inbox = request.headers.get(EARLY, "")
        # The inboxes of a client of another account cannot be reached from this account; the reply
        # subject of its request is not an inbox here.
        is_here = (request.reply or "").startswith(INBOX_PREFIX)
        usable = is_here and inbox.startswith(INBOX_PREFIX) and accepted is ContentType.MSGPACK
        return cls(bus, inbox if usable else None)

    def takes(self, size: int) -> bool:
        """Return whether fields with `size` bytes of numbers may be sent ahead."""
        largest = self._bus.max_message_bytes - EARLY_OVERHEAD_BYTES
        return self._inbox is not None and not self.sent and MIN_EARLY_BYTES <= size <= largest

    async def _send(self, names: frozenset[str], body: bytes) -> None:
        """Send the fields; if sending fails, the reply contains them."""
        if self._inbox is None:
            return
        try:
            await self._bus.publish(self._inbox, body, {CONTENT_TYPE: ContentType.MSGPACK.value})
        except BusError:
            return
        self.sent = names

    def send_from_thread(self, fields: Mapping[str, NDArray[np.inexact[Any]]]) -> None:
        """Send fields ahead if possible; called in the thread that computes the reply."""
        if self.takes(sum(each.nbytes for each in fields.values())):
            anyio.from_thread.run(self._send, frozenset(fields), encode_fields(fields))
