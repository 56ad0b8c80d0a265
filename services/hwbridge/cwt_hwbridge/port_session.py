"""A session with the device on one port, used in the port's thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.driver import DeviceInfo, Driver
from cwt_hwbridge.errors import (
    DeadlineExceededError,
    DeviceError,
    LineLostError,
    LinkDownError,
    NoAnswerError,
    OperationCancelledError,
    PortError,
    ResetError,
    WrongDeviceError,
)
from cwt_hwbridge.line import Line
from cwt_schemas.hardware import DeviceState, HwEventKind

__all__ = ["DeviceEvent", "PortSession"]

T = TypeVar("T")


@dataclass(frozen=True)
class DeviceEvent:
    """An event of the device."""

    kind: HwEventKind
    detail: str


@dataclass
class PortSession:
    """Open the port, keep it open, and run one operation at a time on it.

    Not thread-safe: the bridge uses each session in a separate thread. Other threads only read
    `state`, `detail`, `info` and `events`, which are replaced as a whole.
    """

    open_line: Callable[[], Line]
    make_driver: Callable[[], Driver]
    #: Time to detect the device on its port.
    open_s: float
    state: DeviceState = "absent"
    detail: str = "not probed yet"
    info: DeviceInfo | None = None
    #: Events not published yet.
    events: deque[DeviceEvent] = field(default_factory=deque)
    _line: Line | None = None
    _driver: Driver | None = None

    def open(self, deadline: CancellableDeadline) -> DeviceInfo:
        """Return the identity of the device, after opening the port if necessary.

        Raises
        ------
        DeviceError
            The port has no device of this kind.
        """
        if self._driver is not None and self.info is not None:
            return self.info
        driver = self.make_driver()
        try:
            self._line = self.open_line()
            info = driver.open(self._line, deadline)
        except (OperationCancelledError, DeadlineExceededError) as error:
            self._drop()
            self.state, self.detail = "absent", f"probing failed: {error}"
            raise
        except DeviceError as error:
            self._give_up(error)
            raise
        self._driver, self.info = driver, info
        self.state, self.detail = "ready", info.detail
        self.events.append(DeviceEvent("connected", f"build {info.build_hash} at {info.baud} baud"))
        return info

    def run(
        self,
        work: Callable[[Driver, DeviceInfo, CancellableDeadline], T],
        deadline: CancellableDeadline,
    ) -> T:
        """Run `work` on the device; retry once if the device was reset during it.

        Raises
        ------
        DeviceError
            The operation failed; the next one may succeed.
        """
        for last in (False, True):
            before = self.open(deadline)
            if self._driver is None:
                break
            self.state = "busy"
            try:
                return work(self._driver, before, deadline)
            except DeviceError as error:
                reset = self._was_reset(error, before, deadline)
                if last or not reset:
                    raise
            finally:
                if self._driver is not None:
                    self.state = "ready"
        raise LinkDownError("the device is not open")

    def check(self, deadline: CancellableDeadline) -> None:
        """Check whether the device is still connected; open it if it was reconnected."""
        if self._line is None:
            with suppress(DeviceError):  # reported by `state` and `events`
                self.open(deadline)
            return
        try:
            self._line.read(0.0)  # devices only send replies, so discard unexpected bytes
        except DeviceError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the device and its port, so that both can be used again."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()
        if self._line is not None:
            self._line.close()
        self._line, self.info = None, None

    def _was_reset(
        self, error: DeviceError, before: DeviceInfo, deadline: CancellableDeadline
    ) -> bool:
        """Reopen the device after a lost answer or a reset; return whether it was reset."""
        if error.breaks_line:
            self._give_up(error)
        if not isinstance(error, ResetError | LinkDownError):
            return False
        self._drop()
        try:
            now = self.open(deadline)
        except DeviceError:
            return False  # the first error is more informative
        if now.boot == before.boot:
            return False
        self.events.append(DeviceEvent("reset", "the device was reset; its operation is repeated"))
        return True

    def _give_up(self, error: DeviceError) -> None:
        known = (self.state, self.detail)
        self._drop()
        self.state = "absent" if isinstance(error, PortError | LineLostError) else "faulty"
        self.detail = str(error)
        if (self.state, self.detail) != known:
            self.events.append(DeviceEvent(_kind_of(error), str(error)))

    def _drop(self) -> None:
        """Close the port without sending anything to the device, which does not respond."""
        if self._line is not None:
            self._line.close()
        self._line = self._driver = self.info = None


def _kind_of(error: DeviceError) -> HwEventKind:
    if isinstance(error, PortError):
        return "absent"
    if isinstance(error, LineLostError):
        return "lost"
    if isinstance(error, NoAnswerError | WrongDeviceError):
        return "wrong_device"
    return "link_down"
