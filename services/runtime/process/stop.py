"""The request to stop, and waits that it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

__all__ = ["Stop"]

T = TypeVar("T")


class Stop:
    """Set once, when the process is to finish what it has and take nothing new."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._waits: set[anyio.CancelScope] = set()

    def set(self) -> None:
        """Ask to stop; every wait in `run_until_stopped` ends."""
        self._event.set()
        for scope in self._waits:
            scope.cancel()

    def is_set(self) -> bool:
        """Return whether `set` was called."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when `set` is called."""
        await self._event.wait()

    async def run_until_stopped(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `wait` returns, or None as soon as `set` is called.

        `wait` is cancelled then; only waiting for new work belongs in it, never work itself.
        """
        if self._event.is_set():
            return None
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await wait()
            finally:
                self._waits.discard(scope)
        return None
