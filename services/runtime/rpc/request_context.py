"""What code finds out about the request it serves without having it among its arguments.

The library calls a Monte Carlo backend in a worker thread, without a bus, a client or a reply among
its arguments. A service opens one context where it starts, and one for each request; tasks and
their worker threads that are started inside inherit both::

    with service_context(bus):
        ...  # anyio.to_thread.run_sync(work): inside of `work`, request_context().bus is that bus

A NATS client gives each of its requests a reply subject under its own prefix, such as
``_INBOX.<connection>.<request>``. So the part before the last token is the same for all requests of
one connection, and differs between connections. It does not authenticate a client, which may name
any reply subject: it serves to share a device fairly, not to protect it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

import anyio.from_thread

from services.runtime.bus import Bus, Message
from services.runtime.rpc.early import Early

__all__ = [
    "RequestContext",
    "SyncBus",
    "client_id_of",
    "request_context",
    "service_context",
    "serving_request",
]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


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
    with _changed(client_id=client_id_of(reply), early=early):
        yield


@contextmanager
def _changed(**fields: Any) -> Iterator[None]:  # noqa: ANN401 - the fields of `RequestContext`
    token = _CURRENT.set(replace(request_context(), **fields))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def client_id_of(reply: str | None) -> str:
    """Return the prefix of all reply subjects of one connection; empty without a reply.

    Examples
    --------
    >>> client_id_of("_INBOX.Xk2v9T.17")
    '_INBOX.Xk2v9T'
    """
    return (reply or "").rpartition(".")[0]
