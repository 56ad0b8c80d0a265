"""The deadline of an operation, which its caller can cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cwt_hwbridge.errors import DeadlineExceededError, OperationCancelledError

__all__ = ["CancellableDeadline"]


class CancellableDeadline:
    """Deadline of one operation on a device; drivers call `check` at least every 0.1 s.

    Parameters
    ----------
    timeout_s
        Time from now that the operation may take.
    progress
        Called in the thread of the port with the completed and the total work.
    clock
        Monotonic clock, seconds.
    """

    def __init__(
        self,
        timeout_s: float,
        progress: Callable[[int, int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._ends = clock() + timeout_s
        self._progress = progress
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Cancel the operation at its next `check`; thread-safe."""
        self._cancelled.set()

    def check(self) -> None:
        """Check whether the operation may continue.

        Raises
        ------
        OperationCancelledError
            `cancel` was called.
        DeadlineExceededError
            The deadline has passed.
        """
        if self._cancelled.is_set():
            raise OperationCancelledError("the operation was cancelled")
        if self.left_s <= 0:
            raise DeadlineExceededError(f"the operation did not finish within {self.timeout_s:g} s")

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._ends - self._clock()

    def report(self, done: int, total: int) -> None:
        """Report the progress of the operation."""
        if self._progress is not None:
            self._progress(done, total)
