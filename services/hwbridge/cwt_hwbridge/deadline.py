"""The deadline of an operation, which its caller can cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cwt_hwbridge.errors import DeadlineExceededError, OperationCancelledError

__all__ = ["CancellableDeadline"]


class CancellableDeadline:
    """Deadline of one operation on a device; a driver calls `check` at least every 0.1 s.

    Parameters
    ----------
    timeout_s
        Time that the operation may take, from now on.
    progress
        Called in the thread of the port with the work that is done and the work in all.
    clock
        Seconds that never go back.
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
        """End the operation at its next `check`; safe from any thread."""
        self._cancelled.set()

    def check(self) -> None:
        """Return if the operation may continue.

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
        """Tell how far the operation is."""
        if self._progress is not None:
            self._progress(done, total)
