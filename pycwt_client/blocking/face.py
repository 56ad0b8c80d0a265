"""Synchronous wrappers of objects that live in an event loop of another thread.

A wrapper is a subclass of `Blocking` with one line per method, which keeps the signature and the
docstring:

    class Client(Blocking[AsyncClient]):
        put_stream = waiting(AsyncClient.put_stream)       # a coroutine: call it and wait
        results = opening(AsyncClient.results, Feed[...])  # a context: enter it, wrap its value
        submit = giving(AsyncClient.submit, Job)           # a coroutine: wrap its return value

An interrupt (Ctrl-C) while a call waits also cancels the call in the other thread. Threads may
share a wrapper if tasks may share the wrapped object. Closing a wrapper closes everything opened
from it, the last first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from functools import partial, wraps
from types import TracebackType
from typing import Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

__all__ = ["Blocking", "Held", "giving", "iterating", "opening", "waiting"]

Own = TypeVar("Own")
Own_co = TypeVar("Own_co", covariant=True)
Inner = TypeVar("Inner")
Face = TypeVar("Face")
Answer = TypeVar("Answer")
Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)
P = ParamSpec("P")


class Blocking(Generic[Own_co]):
    """Synchronous wrapper of `own`, which lives in the event loop behind `portal`.

    Parameters
    ----------
    portal
        Runs calls in the other thread.
    own
        The wrapped object.
    held
        The context that yielded `own`, which `close` leaves.
    """

    def __init__(self, portal: BlockingPortal, own: Own_co, held: ExitStack) -> None:
        self._portal = portal
        self._own = own
        self._held = held
        self._closed = False
        #: Open objects that were opened from this one, in order.
        self._opened: dict[ExitStack, None] = {}

    def close(self) -> None:
        """Leave the context that yielded this object; closing again has no effect."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._closed = True
        everything = ExitStack()
        for held in (self._held, *self._opened):
            everything.push(held)
        return everything.__exit__(kind, error, trace)

    def _open(self, context: AbstractAsyncContextManager[Inner]) -> tuple[Inner, ExitStack]:
        """Enter `context` in the loop; return its value, and the object that leaves it."""
        self._check_open()
        held = ExitStack()
        held.callback(self._opened.pop, held, None)
        inner = held.enter_context(Held(self._portal, context))
        self._opened[held] = None
        return inner, held

    def _wait(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run `work` in the loop and return its result."""
        self._check_open()
        call = _Call(self._portal, work)
        try:
            call.begin()
            return call.answer()
        except BaseException:
            call.give_up()
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"cannot use this {type(self).__name__}: it is closed; open another")


class Items(Protocol[Item_co]):
    """An iteration that can be ended early."""

    async def __anext__(self) -> Item_co:
        """Return the next item."""

    async def aclose(self) -> None:
        """End the iteration."""


def waiting(
    method: Callable[Concatenate[Own, P], Awaitable[Answer]],
) -> Callable[Concatenate[Blocking[Own], P], Answer]:
    """Return a method that calls `method` and waits for its result."""

    @wraps(method)
    def call(face: Blocking[Own], /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return face._wait(partial(method, face._own, *args, **kwargs))

    return call


def opening(
    method: Callable[Concatenate[Own, P], AbstractAsyncContextManager[Inner]],
    outer: Callable[[BlockingPortal, Inner, ExitStack], Face],
) -> Callable[Concatenate[Blocking[Own], P], Face]:
    """Return a method that enters the context of `method` and wraps its value in `outer`.

    Leaving or closing the wrapper leaves the context.
    """

    @wraps(method)
    def call(face: Blocking[Own], /, *args: P.args, **kwargs: P.kwargs) -> Face:
        inner, held = face._open(method(face._own, *args, **kwargs))
        return outer(face._portal, inner, held)

    return call


def giving(
    method: Callable[Concatenate[Own, P], Awaitable[Inner]],
    outer: Callable[[BlockingPortal, Inner, ExitStack], Face],
) -> Callable[Concatenate[Blocking[Own], P], Face]:
    """Return a method that calls `method`, waits, and wraps the result in `outer`."""

    @wraps(method)
    def call(face: Blocking[Own], /, *args: P.args, **kwargs: P.kwargs) -> Face:
        answer = face._wait(partial(method, face._own, *args, **kwargs))
        return outer(face._portal, answer, ExitStack())

    return call


def iterating(
    method: Callable[Concatenate[Own, P], Items[Item]],
) -> Callable[Concatenate[Blocking[Own], P], Iterator[Item]]:
    """Return a method that iterates over the items of `method`, waiting for each.

    Each step is a separate task in the other thread, so the iterated object must not keep a cancel
    scope or a task group open between steps.
    """

    @wraps(method)
    def call(face: Blocking[Own], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        items = method(face._own, *args, **kwargs)
        try:
            with suppress(StopAsyncIteration):
                while True:
                    yield face._wait(items.__anext__)
        finally:
            with suppress(RuntimeError):  # the client was closed, and everything opened from it
                face._wait(items.aclose)

    return call


class Held(Generic[Inner]):
    """Keep `context` open in one task behind `portal`, from ``__enter__`` to ``__exit__``.

    An interrupt (Ctrl-C) while it is entered, open or left cancels that task. It is never raised
    inside the other thread's event loop, which would end everything that runs there.
    """

    def __init__(self, portal: BlockingPortal, context: AbstractAsyncContextManager[Inner]) -> None:
        self._portal = portal
        self._context = context
        self._inner: Future[Inner] = Future()
        self._leave = anyio.Event()
        self._error: Exception | None = None
        self._holding = _Call(portal, self._hold)

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


class _Call(Generic[Answer]):
    """Run `work` once in the loop behind `portal`.

    An interrupt (Ctrl-C) can occur at any moment, also while the work is being submitted, when
    there is no future to cancel yet. The interrupted caller therefore uses `give_up`, which needs
    none.
    """

    def __init__(self, portal: BlockingPortal, work: Callable[[], Awaitable[Answer]]) -> None:
        self._portal = portal
        self._work = work
        self._given_up = False
        self._scope: anyio.CancelScope | None = None
        self._future: Future[Answer] = Future()

    def begin(self) -> None:
        """Submit the work.

        Raises
        ------
        RuntimeError
            The loop has ended.
        """
        try:
            self._future = self._portal.start_task_soon(self._run)
        except RuntimeError as error:
            raise RuntimeError("cannot call: the client is closed; connect again") from error

    def answer(self) -> Answer:
        """Return the result of the work, or raise its error.

        Raises
        ------
        RuntimeError
            The loop ended meanwhile.
        """
        try:
            return self._future.result()
        except CancelledError:
            raise RuntimeError(
                "cannot complete the call: the client was closed while it waited"
            ) from None

    def give_up(self) -> None:
        """Cancel the work; no effect if it has ended."""
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
