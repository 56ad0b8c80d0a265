"""A session with the device on one port, as the port's one thread uses it."""

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
    """Something that happened to the device."""

    kind: HwEventKind
    detail: str


@dataclass
class PortSession:
    """Opens the port, keeps it open, and does one thing at a time with it.

    It is not thread-safe: the bridge gives each session a thread of its own, and reads
    `state`, `detail`, `info` and `events` from outside, which are replaced as a whole.
    """

    open_line: Callable[[], Line]
    make_driver: Callable[[], Driver]
    #: For the device to be found on its port.
    open_s: float
    state: DeviceState = "absent"
    detail: str = "not probed yet"
    info: DeviceInfo | None = None
    #: Events that are not published yet.
    events: deque[DeviceEvent] = field(default_factory=deque)
    _line: Line | None = None
    _driver: Driver | None = None

    def open(self, deadline: CancellableDeadline) -> DeviceInfo:
        """Return what is on the port, after opening it if need be.

        Raises
        ------
        DeviceError
            There is no device of this kind there.
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
        """Do `work` with the device; once more from the start if it was reset meanwhile.

        Raises
        ------
        DeviceError
            It could not be done; the next one may be.
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
        """Check whether the device is still there; open it if it came back."""
        if self._line is None:
            with suppress(DeviceError):  # told by `state` and `events`
                self.open(deadline)
            return
        try:
            self._line.read(0.0)  # a device speaks when spoken to: what comes now is of no use
        except DeviceError as error:
            self._give_up(error)

    def close(self) -> None:
        """Leave the device and its port as they can be used by the next one."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()
        if self._line is not None:
            self._line.close()
        self._line, self.info = None, None

    def _was_reset(
        self, error: DeviceError, before: DeviceInfo, deadline: CancellableDeadline
    ) -> bool:
        """Return whether the device was reset, and is open again; it may have lost its rate."""
        if error.breaks_line:
            self._give_up(error)
        if not isinstance(error, ResetError | LinkDownError):
            return False
        self._drop()
        try:
            now = self.open(deadline)
        except DeviceError:
            return False  # the first error says more
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
        """Close the port without a word to the device, which does not listen."""
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
