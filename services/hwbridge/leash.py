"""What an operation has to keep to: a deadline, and somebody who may call it back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from services.hwbridge.errors import CalledOffError, OverdueError

__all__ = ["Leash"]


class Leash:
    """Goes with one operation into the owner thread; a driver calls `check` at least every 0.1 s.

    Parameters
    ----------
    timeout_s
        Time that the operation may take, from now on.
    progress
        Called in the owner thread with what is done and what there is to do in all.
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
        self._called_off = threading.Event()

    def call_off(self) -> None:
        """End the operation at its next look; safe from any thread."""
        self._called_off.set()

    def check(self) -> None:
        """Return if the operation may go on.

        Raises
        ------
        CalledOffError
            It is not wanted any more.
        OverdueError
            Its time is over.
        """
        if self._called_off.is_set():
            raise CalledOffError("the operation was called off")
        if self.left_s <= 0:
            raise OverdueError(f"the operation was not done within {self.timeout_s:g} s")

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._ends - self._clock()

    def report(self, done: int, total: int) -> None:
        """Tell how far the operation is."""
        if self._progress is not None:
            self._progress(done, total)
