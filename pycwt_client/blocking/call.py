"""Work for an event loop in another thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

__all__ = ["Call"]

Answer = TypeVar("Answer")


class Call(Generic[Answer]):
    """Runs `work` once in the loop behind `portal`.

    An interrupt (Ctrl-C) comes at any moment, also while the work is being handed over, when there
    is no future yet to cancel it by. So whoever is interrupted says `give_up`, which needs none.
    """

    def __init__(self, portal: BlockingPortal, work: Callable[[], Awaitable[Answer]]) -> None:
        self._portal = portal
        self._work = work
        self._given_up = False
        self._scope: anyio.CancelScope | None = None
        self._future: Future[Answer] = Future()

    def begin(self) -> None:
        """Hand it over.

        Raises
        ------
        RuntimeError
            There is no such loop any more.
        """
        try:
            self._future = self._portal.start_task_soon(self._run)
        except RuntimeError as error:
            raise RuntimeError("the client is closed: connect again") from error

    def answer(self) -> Answer:
        """Wait for what the work returns, or raise what it raises.

        Raises
        ------
        RuntimeError
            The loop ended meanwhile.
        """
        try:
            return self._future.result()
        except CancelledError:
            raise RuntimeError("the client was closed while this call waited") from None

    def give_up(self) -> None:
        """Cancel it; to work that has ended this does nothing."""
        self._given_up = True
        with suppress(RuntimeError):  # the loop has ended, and the work with it
            self._portal.start_task_soon(self._cancel)

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def _run(self) -> Answer:
        with anyio.CancelScope() as self._scope:
            if self._given_up:
                self._scope.cancel()
            return await self._work()
        raise CancelledError
