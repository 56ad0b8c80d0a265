"""What code that serves a request has of it, and fields that it sends ahead of the reply.

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

This module imports neither the log nor the settings: the library loads it with a backend, and the
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

#: Smaller fields arrive as fast with the rest of the reply.
MIN_EARLY_BYTES = 256 * 1024
#: Of all fields sent ahead, for what is in the message besides the numbers.
EARLY_OVERHEAD_BYTES = 4 * 1024
#: Nothing but an inbox: a service may publish where its clients may not.
INBOX_PREFIX = "_INBOX."


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """The request that is being served; the defaults hold outside of one."""

    #: The bus of the service, None outside of one.
    bus: SyncBus | None = None
    #: The client that sent the request, empty outside of one; see the module.
    client_id: str = ""
    #: The user that sent the request, without a name outside of one.
    caller: Caller = NO_CALLER
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
def serving_request(request: Message, early: Early) -> Iterator[None]:
    """Serve `request` while the context is open."""
    client_id, caller = _client_id_of(request.reply), caller_of(request)
    with _changed(client_id=client_id, caller=caller, early=early):
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
        Its subject; None if the caller wants no progress.
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
        # The reply of a request from another account is no inbox here, and its inboxes are there.
        is_here = (request.reply or "").startswith(INBOX_PREFIX)
        usable = is_here and inbox.startswith(INBOX_PREFIX) and accepted is ContentType.MSGPACK
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
