"""A context of an event loop in another thread, entered and left from this one."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from pycwt_client.blocking.call import Call

__all__ = ["Held"]

Inner = TypeVar("Inner")


class Held(Generic[Inner]):
    """Holds `context` open in one task behind `portal`, from ``__enter__`` to ``__exit__``.

    An interrupt (Ctrl-C), while it is entered, held or left, cancels that task: it is never raised
    inside the other thread's event loop, which would end all that goes on there.
    """

    def __init__(self, portal: BlockingPortal, context: AbstractAsyncContextManager[Inner]) -> None:
        self._portal = portal
        self._context = context
        self._inner: Future[Inner] = Future()
        self._leave = anyio.Event()
        self._error: Exception | None = None
        self._holding = Call(portal, self._hold)

    def __enter__(self) -> Inner:
        try:
            self._holding.begin()
            return self._inner.result()
        except BaseException:
            self._holding.give_up()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not (error is None or isinstance(error, Exception)):
            self._holding.give_up()
            return
        self._error = error
        try:
            with suppress(RuntimeError):  # the loop has ended, and the task with it
                self._portal.start_task_soon(self._leave.set)
            self._holding.answer()
        except BaseException:
            self._holding.give_up()
            raise

    async def _hold(self) -> None:
        try:
            async with self._context as inner:
                self._inner.set_result(inner)
                await self._leave.wait()
                if self._error is not None:
                    raise self._error
        except Exception as error:
            if not self._inner.done():
                self._inner.set_exception(error)
            raise
        except BaseException:
            self._inner.cancel()
            raise
