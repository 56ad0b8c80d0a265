"""An object that lives in an event loop of another thread, with a face for this one.

How a face is made: a class on `Blocking`, and one line for each method, which keeps the signature
and the docstring.

    class Client(Blocking[AsyncClient]):
        put_stream = waiting(AsyncClient.put_stream)          # a coroutine: call it, and wait
        results = opening(AsyncClient.results, Feed[...])     # a context: enter it, give its face
        submit = giving(AsyncClient.submit, Job)              # a coroutine: give the answer's face

An interrupt (Ctrl-C) while a call waits cancels the call in the other thread as well. A face may
be used by several threads as far as what is behind it may be used by several tasks. What was opened
from a face is closed with it, the last one first.
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
    """The face of `own`, which lives in the event loop behind `portal`.

    Parameters
    ----------
    portal
        The way into the other thread.
    own
        What is called there.
    held
        What `close` leaves: the context that `own` came out of.
    """

    def __init__(self, portal: BlockingPortal, own: Own_co, held: ExitStack) -> None:
        self._portal = portal
        self._own = own
        self._held = held
        self._closed = False
        #: Of what was opened from this and is still open, in the order in which it was.
        self._opened: dict[ExitStack, None] = {}

    def close(self) -> None:
        """Leave the context that this came out of; closing again does nothing."""
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
        """Enter `context` in the loop; return what is inside, and what leaves it."""
        self._check_open()
        held = ExitStack()
        held.callback(self._opened.pop, held, None)
        inner = held.enter_context(Held(self._portal, context))
        self._opened[held] = None
        return inner, held

    def _wait(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run `work` in the loop and return what it returns."""
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
            raise RuntimeError(f"this {type(self).__name__} is closed")


class Items(Protocol[Item_co]):
    """An iteration that can be left early."""

    async def __anext__(self) -> Item_co:
        """Return the next item."""

    async def aclose(self) -> None:
        """Leave it."""


def waiting(
    method: Callable[Concatenate[Own, P], Awaitable[Answer]],
) -> Callable[Concatenate[Blocking[Own], P], Answer]:
    """Return `method` as one that waits for its answer."""

    @wraps(method)
    def call(face: Blocking[Own], /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return face._wait(partial(method, face._own, *args, **kwargs))

    return call


def opening(
    method: Callable[Concatenate[Own, P], AbstractAsyncContextManager[Inner]],
    outer: Callable[[BlockingPortal, Inner, ExitStack], Face],
) -> Callable[Concatenate[Blocking[Own], P], Face]:
    """Return `method` as one that enters its context and gives the face `outer` of what is inside.

    Leaving the face, or its `close`, leaves the context.
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
    """Return `method` as one that waits for its answer and gives the face `outer` of it."""

    @wraps(method)
    def call(face: Blocking[Own], /, *args: P.args, **kwargs: P.kwargs) -> Face:
        answer = face._wait(partial(method, face._own, *args, **kwargs))
        return outer(face._portal, answer, ExitStack())

    return call


def iterating(
    method: Callable[Concatenate[Own, P], Items[Item]],
) -> Callable[Concatenate[Blocking[Own], P], Iterator[Item]]:
    """Return `method` as an iteration that waits for each item.

    Each step is a task of its own in the other thread, so what iterates must not hold a cancel
    scope or a task group open from one step to the next.
    """

    @wraps(method)
    def call(face: Blocking[Own], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        items = method(face._own, *args, **kwargs)
        try:
            with suppress(StopAsyncIteration):
                while True:
                    yield face._wait(items.__anext__)
        finally:
            with suppress(RuntimeError):  # the client was closed, and all with it
                face._wait(items.aclose)

    return call


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
