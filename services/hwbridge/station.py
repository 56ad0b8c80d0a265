"""One device on the bus: its queue, its one thread, its deadlines, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

import anyio

from schemas.errors import (
    Conflict,
    ContractError,
    NotFound,
    Timeout,
    Unavailable,
    Unprocessable,
)
from schemas.hardware import HwOperation
from schemas.hwops import HwRequest
from services.hwbridge.driver import DeviceInfo, Driver
from services.hwbridge.errors import (
    CalledOffError,
    DeviceError,
    OverdueError,
    RefusedError,
    UnfitError,
)
from services.hwbridge.leash import Leash
from services.hwbridge.owner import Owner, Seen
from services.hwbridge.port_config import PortConfig
from services.hwbridge.turns import Turns

__all__ = ["Progress", "Station"]

T = TypeVar("T")

#: Looks at an idle port per second are few: unplugging is noticed within this time.
LOOK_S = 0.5
#: A device that is not there is looked for ever less often, down to this.
LONGEST_LOOK_S = 5.0
#: How often an operation that waits for the device to be opened is looked at.
OPENING_LOOK_S = 0.02
#: How often the progress of an operation is told.
PROGRESS_S = 1.0
#: For the device to be left in order at the end.
CLOSE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an operation is."""

    operation: HwOperation
    done: int
    total: int


@dataclass
class _Order:
    """An operation that waits or runs."""

    leash: Leash
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    running: bool = False
    called_off: bool = False
    progress: tuple[int, int] = (0, 0)


class Station:
    """Runs operations on one device, one at a time; clients take turns, see `Turns`.

    Parameters
    ----------
    config
        The device and its port.
    owner
        Who uses the port; only this station's thread calls it.
    tell
        Publishes what happened; awaited on the event loop.
    """

    def __init__(
        self,
        config: PortConfig,
        owner: Owner,
        tell: Callable[[PortConfig, Seen | Progress], Awaitable[None]],
    ) -> None:
        self.config = config
        self.owner = owner
        self._tell = tell
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"hw-{config.device}")
        self._turns = Turns()
        self._orders: dict[str, _Order] = {}
        self._opening: Future[DeviceInfo] | None = None
        self._opening_leash = Leash(0.0)

    @property
    def queued(self) -> int:
        """Operations that wait for their turn."""
        return self._turns.waiting

    async def keep(self) -> None:
        """Look after the port until cancelled, then leave it in order."""
        pause = LOOK_S
        try:
            while True:
                if not self._turns.busy:
                    async with self._turn(""):
                        leash = Leash(self.owner.open_s)
                        await self._owned(partial(self.owner.look, leash), leash)
                    await self._tell_all()
                pause = LOOK_S if self.owner.info else min(1.5 * pause, LONGEST_LOOK_S)
                await anyio.sleep(pause)
        finally:
            self._opening_leash.call_off()
            for order in self._orders.values():
                order.leash.call_off()
            with anyio.move_on_after(CLOSE_S, shield=True):
                await self._owned(self.owner.close, Leash(CLOSE_S))
            self._thread.shutdown(wait=False)

    async def operate(
        self,
        operation: HwOperation,
        request: HwRequest,
        plan: Callable[[], Awaitable[Callable[[Driver, DeviceInfo, Leash], T]]],
        *,
        client_id: str,
    ) -> T:
        """Do what `plan` returns when the turn of `client_id` comes, within the request's time.

        Raises
        ------
        ContractError
            `unavailable`, `timeout`, `unprocessable`, `overloaded`, or `conflict` when cancelled.
        """
        order = self._order(request)
        try:
            return await self._in_turn(operation, order, plan, client_id)
        except OverdueError as error:
            raise Timeout(str(error)) from error
        except CalledOffError as error:
            if order.called_off:
                raise Conflict(f"the operation {request.id} was cancelled") from error
            raise Unavailable("the bridge is stopping") from error
        except DeviceError as error:
            raise _contract_error(self.config.device, error) from error
        finally:
            if request.id is not None:
                self._orders.pop(request.id, None)
            await self._tell_all()

    def cancel(self, name: str) -> Literal["queued", "running"]:
        """End the operation of that id.

        Raises
        ------
        NotFound
            None of that id waits or runs.
        """
        order = self._orders.get(name)
        if order is None:
            raise NotFound(f"no operation {name} waits or runs on {self.config.device}")
        order.called_off = True
        order.leash.call_off()
        if order.running:
            return "running"
        order.scope.cancel()
        return "queued"

    async def probe(self, leash: Leash, *, client_id: str) -> DeviceInfo:
        """Return how the device is: asked now, or as it was when the running operation began."""
        if self._turns.busy and self.owner.info is not None:
            return self.owner.info
        async with self._turn(client_id):
            try:
                return await self._owned(
                    lambda: self.owner.run(lambda driver, _, own: driver.probe(own), leash), leash
                )
            except OverdueError as error:
                raise Timeout(str(error)) from error
            except DeviceError as error:
                raise _contract_error(self.config.device, error) from error
            finally:
                await self._tell_all()

    @asynccontextmanager
    async def _turn(self, client_id: str) -> AsyncIterator[None]:
        ticket = self._turns.enter(client_id)
        try:
            await ticket.turn.wait()
            yield
        finally:
            self._turns.leave(ticket)

    def _order(self, request: HwRequest) -> _Order:
        if request.id in self._orders:
            raise Conflict(f"an operation {request.id} waits or runs already: take another id")
        order = _Order(Leash(request.timeout_s, lambda *far: setattr(order, "progress", far)))
        if request.id is not None:
            self._orders[request.id] = order
        return order

    async def _in_turn(
        self,
        operation: HwOperation,
        order: _Order,
        plan: Callable[[], Awaitable[Callable[[Driver, DeviceInfo, Leash], T]]],
        client_id: str,
    ) -> T:
        ticket = self._turns.enter(client_id)
        try:
            with order.scope, anyio.move_on_after(max(order.leash.left_s, 0.0)):
                work = await plan()
                await ticket.turn.wait()
                order.running = True
            if not order.running:
                order.leash.check()
                raise OverdueError(f"the operation waited {order.leash.timeout_s:g} s for its turn")
            return await self._watched(operation, order, work)
        finally:
            self._turns.leave(ticket)

    async def _watched(
        self,
        operation: HwOperation,
        order: _Order,
        work: Callable[[Driver, DeviceInfo, Leash], T],
    ) -> T:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_progress, operation, order)
            try:
                if self.owner.info is None:
                    await self._found(order.leash)
                return await self._owned(lambda: self._fit(operation, order, work), order.leash)
            except DeviceError as error:
                failure: DeviceError = error
            finally:
                tasks.cancel_scope.cancel()
        # Raised here, since a task group would wrap it.
        raise failure

    async def _found(self, leash: Leash) -> None:
        """Wait until the device is open; it is opened to the end, however little time is left.

        Otherwise callers in a hurry, one after the other, would keep it from ever being opened.
        """
        if self._opening is None or self._opening.done():
            self._opening_leash = Leash(self.owner.open_s)
            self._opening = self._thread.submit(self.owner.open, self._opening_leash)
        opening = self._opening
        while not opening.done():
            if leash.left_s <= 0:
                raise OverdueError(
                    f"{self.config.device} is being opened, which takes up to "
                    f"{self.owner.open_s:.0f} s: ask again, or give it that time"
                )
            leash.check()
            await anyio.sleep(OPENING_LOOK_S)
        opening.result()

    def _fit(
        self,
        operation: HwOperation,
        order: _Order,
        work: Callable[[Driver, DeviceInfo, Leash], T],
    ) -> T:
        info = self.owner.open(order.leash)
        if operation not in info.operations:
            has = ", ".join(sorted(info.operations)) or "none"
            raise UnfitError(f"{self.config.device} has no {operation}; it has {has}", "operation")
        return self.owner.run(work, order.leash)

    async def _tell_progress(self, operation: HwOperation, order: _Order) -> None:
        while True:
            await anyio.sleep(PROGRESS_S)
            done, total = order.progress
            await self._tell(self.config, Progress(operation=operation, done=done, total=total))
            await self._tell_all()

    async def _tell_all(self) -> None:
        while self.owner.seen:
            await self._tell(self.config, self.owner.seen.popleft())

    async def _owned(self, function: Callable[[], T], leash: Leash) -> T:
        """Call `function` in the thread of the port; cancelled, it is called off."""
        try:
            return await asyncio.wrap_future(self._thread.submit(function))
        except asyncio.CancelledError:
            leash.call_off()
            raise


def _contract_error(device: str, error: DeviceError) -> ContractError:
    if isinstance(error, UnfitError):
        return Unprocessable.of({error.field: str(error)})
    if isinstance(error, RefusedError):
        return Unprocessable.of({"request": f"{error}: it is too large for {device}"})
    return Unavailable(f"{device}: {error}")
