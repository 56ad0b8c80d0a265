"""End a process that does not end by itself.

Work in a thread cannot be cancelled, and an event loop waits for its threads: one computation that
never returns would keep a process alive that has promised to be gone. A supervisor that believes
the promise would start another one beside it, or wait for ever.
"""

from __future__ import annotations

import os
import sys
import threading

from services.runtime.telemetry.logs import Action, Log

__all__ = ["GRACE_S", "ShutdownWatchdog"]

#: After the drain time: what was cancelled ends, and the connection is closed, within this. With
#: the default drain time the process is gone before `pycwt-mod up` or Docker would kill it.
GRACE_S = 4.0
FAILED = 1


class ShutdownWatchdog:
    """Once armed, ends the process after a time limit, whatever runs in it, unless disarmed."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def arm(self, limit_s: float, log: Log) -> None:
        """Start the countdown of `limit_s` and the grace; later calls change nothing."""
        if self._timer is None:
            self._timer = threading.Timer(limit_s + GRACE_S, _end_process, (limit_s, log))
            self._timer.daemon = True
            self._timer.start()

    def disarm(self) -> None:
        """Stop the countdown: the process ends by itself."""
        if self._timer is not None:
            self._timer.cancel()


def _end_process(limit_s: float, log: Log) -> None:
    try:
        log.error(
            Action.FAILED,
            detail=f"something still runs in a thread {limit_s:g} s and {GRACE_S:g} s of grace "
            "after the end was due; the process ends without it, and what it has not "
            "acknowledged is done by somebody else",
        )
        sys.stderr.flush()
    finally:
        os._exit(FAILED)
