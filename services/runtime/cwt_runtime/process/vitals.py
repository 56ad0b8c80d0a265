"""Whether a process lives and is ready, as seen from outside of its event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import anyio

from cwt_runtime.bus import Bus

__all__ = ["Vitals"]

#: Interval at which the event loop shows that it runs.
BEAT_S = 1.0
#: A loop that was not seen for so long is stuck; the longest that it is held up is a large reply.
STUCK_S = 30.0


class Vitals:
    """What ``/livez`` and ``/readyz`` answer; read by other threads."""

    def __init__(
        self, is_stopping: Callable[[], bool], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_stopping = is_stopping
        self._clock = clock
        self._seen = clock()
        self._bus: Bus | None = None
        self._is_ready: anyio.Event | None = None

    def watch(self, bus: Bus, is_ready: anyio.Event) -> None:
        """Answer for a service that starts on `bus`, and sets `is_ready` when it works."""
        self._bus, self._is_ready = bus, is_ready

    async def beat(self) -> None:
        """Show that the event loop runs, until cancelled."""
        while True:
            self._seen = self._clock()
            await anyio.sleep(BEAT_S)

    @property
    def checks(self) -> Mapping[str, Callable[[], str]]:
        """The checks by path."""
        return {"/livez": self.alive, "/readyz": self.ready}

    def alive(self) -> str:
        """Return why the process is of no use any more, or nothing."""
        silent_s = self._clock() - self._seen
        return f"the event loop has been blocked for {silent_s:.0f} s" if silent_s > STUCK_S else ""

    def ready(self) -> str:
        """Return why the process takes no work at the moment, or nothing."""
        if self._is_stopping():
            return "stopping"
        if self._bus is None or not self._bus.is_connected:
            return "no connection to NATS"
        return "" if self._is_ready is not None and self._is_ready.is_set() else "starting"
