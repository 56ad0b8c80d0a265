"""One device on the bus: its queue, thread, deadlines and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

import anyio

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.driver import DeviceInfo, Driver
from cwt_hwbridge.errors import (
    DeadlineExceededError,
    DeviceError,
    OperationCancelledError,
    RefusedError,
    UnsupportedRequestError,
)
from cwt_hwbridge.fair_queue import FairQueue
from cwt_hwbridge.port_config import PortConfig
from cwt_hwbridge.port_session import DeviceEvent, PortSession
from cwt_schemas.errors import (
    Conflict,
    ContractError,
    NotFound,
    Timeout,
    Unavailable,
    Unprocessable,
)
from cwt_schemas.hardware import HwOperation
from cwt_schemas.hwops import HwRequest

__all__ = ["DeviceWorker", "Progress"]

T = TypeVar("T")

#: Interval between checks of an idle port; unplugging is noticed within this time.
LOOK_S = 0.5
#: Longest interval between attempts to open an absent device.
LONGEST_LOOK_S = 5.0
#: Interval at which an operation checks whether the device has been opened.
OPENING_LOOK_S = 0.02
#: Interval at which the progress of an operation is published.
PROGRESS_S = 1.0
#: Time to close the device at shutdown.
CLOSE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of an operation."""

    operation: HwOperation
    done: int
    total: int


@dataclass
class _Operation:
    """A waiting or running operation."""

    deadline: CancellableDeadline
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    running: bool = False
    cancelled: bool = False
    progress: tuple[int, int] = (0, 0)


class DeviceWorker:
    """Run operations on one device, one at a time; clients take turns (`FairQueue`).

    Parameters
    ----------
    config
        The device and its port.
    session
        Session with the device; called only in this worker's thread.
    publish
        Publishes an event or the progress of an operation; awaited on the event loop.
    """

    def __init__(
        self,
        config: PortConfig,
        session: PortSession,
        publish: Callable[[PortConfig, DeviceEvent | Progress], Awaitable[None]],
    ) -> None:
        self.config = config
        self.session = session
        self._publish = publish
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"hw-{config.device}")
        self._queue = FairQueue()
        self._operations: dict[str, _Operation] = {}
        self._opening: Future[DeviceInfo] | None = None
        self._opening_deadline = CancellableDeadline(0.0)

    @property
    def queued(self) -> int:
        """Number of operations that wait for their turn."""
        return self._queue.waiting

    async def run(self) -> None:
        """Monitor the port until cancelled, then close the device."""
        pause = LOOK_S
        try:
            while True:
                if not self._queue.busy:
                    async with self._turn(""):
                        deadline = CancellableDeadline(self.session.open_s)
                        await self._in_port_thread(partial(self.session.check, deadline), deadline)
                    await self._publish_events()
                pause = LOOK_S if self.session.info else min(1.5 * pause, LONGEST_LOOK_S)
                await anyio.sleep(pause)
        finally:
            self._opening_deadline.cancel()
            for registered in self._operations.values():
                registered.deadline.cancel()
            with anyio.move_on_after(CLOSE_S, shield=True):
                await self._in_port_thread(self.session.close, CancellableDeadline(CLOSE_S))
            self._thread.shutdown(wait=False)

    async def operate(
        self,
        operation: HwOperation,
        request: HwRequest,
        plan: Callable[[], Awaitable[Callable[[Driver, DeviceInfo, CancellableDeadline], T]]],
        *,
        client_id: str,
    ) -> T:
        """Run the work that `plan` returns in the turn of `client_id`, within the timeout.

        Raises
        ------
        ContractError
            `unavailable`, `timeout`, `unprocessable`, `overloaded`, or `conflict` when cancelled.
        """
        registered = self._register(request)
        try:
            return await self._in_turn(operation, registered, plan, client_id)
        except DeadlineExceededError as error:
            raise Timeout(str(error)) from error
        except OperationCancelledError as error:
            if registered.cancelled:
                raise Conflict(f"the operation {request.id} was cancelled") from error
            raise Unavailable("the bridge is stopping") from error
        except DeviceError as error:
            raise _contract_error(self.config.device, error) from error
        finally:
            if request.id is not None:
                self._operations.pop(request.id, None)
            await self._publish_events()

    def cancel(self, name: str) -> Literal["queued", "running"]:
        """Cancel the operation with this id.

        Raises
        ------
        NotFound
            No operation with this id waits or runs.
        """
        registered = self._operations.get(name)
        if registered is None:
            raise NotFound(f"no operation {name} is queued or running on {self.config.device}")
        registered.cancelled = True
        registered.deadline.cancel()
        if registered.running:
            return "running"
        registered.scope.cancel()
        return "queued"

    async def probe(self, deadline: CancellableDeadline, *, client_id: str) -> DeviceInfo:
        """Return the state of the device, or its last known state while an operation runs."""
        info = self.session.info  # the port's thread may replace it concurrently
        if self._queue.busy and info is not None:
            return info
        async with self._turn(client_id):
            try:
                return await self._in_port_thread(
                    lambda: self.session.run(lambda driver, _, own: driver.probe(own), deadline),
                    deadline,
                )
            except DeadlineExceededError as error:
                raise Timeout(str(error)) from error
            except DeviceError as error:
                raise _contract_error(self.config.device, error) from error
            finally:
                await self._publish_events()

    @asynccontextmanager
    async def _turn(self, client_id: str) -> AsyncIterator[None]:
        entry = self._queue.enter(client_id)
        try:
            await entry.turn.wait()
            yield
        finally:
            self._queue.leave(entry)

    def _register(self, request: HwRequest) -> _Operation:
        if request.id in self._operations:
            raise Conflict(
                f"an operation {request.id} is already queued or running: use another id"
            )
        registered = _Operation(
            CancellableDeadline(
                request.timeout_s, lambda *far: setattr(registered, "progress", far)
            )
        )
        if request.id is not None:
            self._operations[request.id] = registered
        return registered

    async def _in_turn(
        self,
        operation: HwOperation,
        registered: _Operation,
        plan: Callable[[], Awaitable[Callable[[Driver, DeviceInfo, CancellableDeadline], T]]],
        client_id: str,
    ) -> T:
        entry = self._queue.enter(client_id)
        try:
            with registered.scope, anyio.move_on_after(max(registered.deadline.left_s, 0.0)):
                work = await plan()
                await entry.turn.wait()
                registered.running = True
            if not registered.running:
                registered.deadline.check()
                raise DeadlineExceededError(
                    f"the operation waited {registered.deadline.timeout_s:g} s in the queue"
                )
            return await self._watched(operation, registered, work)
        finally:
            self._queue.leave(entry)

    async def _watched(
        self,
        operation: HwOperation,
        registered: _Operation,
        work: Callable[[Driver, DeviceInfo, CancellableDeadline], T],
    ) -> T:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._publish_progress, operation, registered)
            try:
                if self.session.info is None:
                    await self._wait_until_open(registered.deadline)
                return await self._in_port_thread(
                    lambda: self._run_if_supported(operation, registered, work), registered.deadline
                )
            except DeviceError as error:
                failure: DeviceError = error
            finally:
                tasks.cancel_scope.cancel()
        # Raise here, because a task group would wrap the error.
        raise failure

    async def _wait_until_open(self, deadline: CancellableDeadline) -> None:
        """Wait until the device is open; opening continues after the caller's deadline.

        Otherwise consecutive callers with short deadlines would prevent it from ever completing.
        """
        if self._opening is None or self._opening.done():
            self._opening_deadline = CancellableDeadline(self.session.open_s)
            self._opening = self._thread.submit(self.session.open, self._opening_deadline)
        opening = self._opening
        while not opening.done():
            if deadline.left_s <= 0:
                raise DeadlineExceededError(
                    f"{self.config.device} is being opened, which takes up to "
                    f"{self.session.open_s:.0f} s: retry, or raise the timeout"
                )
            deadline.check()
            await anyio.sleep(OPENING_LOOK_S)
        opening.result()

    def _run_if_supported(
        self,
        operation: HwOperation,
        registered: _Operation,
        work: Callable[[Driver, DeviceInfo, CancellableDeadline], T],
    ) -> T:
        info = self.session.open(registered.deadline)
        if operation not in info.operations:
            has = ", ".join(sorted(info.operations)) or "none"
            raise UnsupportedRequestError(
                f"{self.config.device} does not support {operation}; it supports {has}", "operation"
            )
        return self.session.run(work, registered.deadline)

    async def _publish_progress(self, operation: HwOperation, registered: _Operation) -> None:
        while True:
            await anyio.sleep(PROGRESS_S)
            done, total = registered.progress
            await self._publish(self.config, Progress(operation=operation, done=done, total=total))
            await self._publish_events()

    async def _publish_events(self) -> None:
        while self.session.events:
            await self._publish(self.config, self.session.events.popleft())

    async def _in_port_thread(self, function: Callable[[], T], deadline: CancellableDeadline) -> T:
        """Call `function` in the port's thread; cancel its deadline if the caller is cancelled."""
        try:
            return await asyncio.wrap_future(self._thread.submit(function))
        except asyncio.CancelledError:
            deadline.cancel()
            raise


def _contract_error(device: str, error: DeviceError) -> ContractError:
    if isinstance(error, UnsupportedRequestError):
        return Unprocessable.of({error.field: str(error)})
    if isinstance(error, RefusedError):
        return Unprocessable.of({"request": f"{error}: it is too large for {device}"})
    return Unavailable(f"{device}: {error}")
