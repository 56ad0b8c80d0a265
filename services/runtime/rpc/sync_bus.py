"""How code that is not asynchronous, in a thread of a service, reaches the service's bus.

A Monte Carlo backend is called by the library, in a worker thread, without a bus among its
arguments. The service says once, where it starts, which bus there is; whatever it starts after
that, tasks and their worker threads, inherits it::

    with reachable_from_threads(bus):
        ...  # anyio.to_thread.run_sync(work): inside of `work`, sync_bus() is that bus

A thread waits for the event loop, which goes on serving. When the task that started the thread is
cancelled, the wait ends, and the cancellation is raised in the thread.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

import anyio.from_thread

from services.runtime.bus import Bus, Message

__all__ = ["SyncBus", "reachable_from_threads", "sync_bus"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class SyncBus:
    """The bus of this service, for its worker threads; a call on the event loop is an error."""

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


_BUS: ContextVar[SyncBus] = ContextVar("sync_bus")


@contextmanager
def reachable_from_threads(bus: Bus) -> Iterator[None]:
    """Let what is started while the context is open find `bus`."""
    token = _BUS.set(SyncBus(bus))
    try:
        yield
    finally:
        _BUS.reset(token)


def sync_bus() -> SyncBus | None:
    """Return the bus of this service; None outside of one."""
    return _BUS.get(None)
