"""Liveness and readiness of a process, readable from outside its event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import anyio

from cwt_runtime.bus import Bus
from cwt_runtime.telemetry.metrics import LOOP_LAG

__all__ = ["LoopLag", "Vitals"]

#: Interval at which the event loop records that it is running, seconds. The delay of each record is
#: measured, so that nothing that blocks the loop for longer than this goes unseen; 20 records a
#: second take a thousandth of a core.
BEAT_S = 0.05
#: Time without a record after which the loop is stuck, seconds. Large replies block it longest.
STUCK_S = 30.0

#: Time after which a delay of the loop is forgotten: at least this, at most twice as long, seconds.
#: Prometheus reads the metrics more often than that.
LAG_WINDOW_S = 30.0


class LoopLag:
    """Longest recent delay of the event loop, seconds."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self._current_s = self._previous_s = 0.0

    def record(self, delay_s: float, now_s: float) -> float:
        """Record a delay; return the longest of the last one to two times `LAG_WINDOW_S`."""
        if now_s - self._since_s >= LAG_WINDOW_S:
            self._since_s = now_s
            self._previous_s, self._current_s = self._current_s, 0.0
        self._current_s = max(self._current_s, delay_s)
        return max(self._previous_s, self._current_s)


class Vitals:
    """State behind ``/livez`` and ``/readyz``; read by other threads."""

    def __init__(
        self, is_stopping: Callable[[], bool], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_stopping = is_stopping
        self._clock = clock
        self._seen = clock()
        self._bus: Bus | None = None
        self._is_ready: anyio.Event | None = None

    def watch(self, bus: Bus, is_ready: anyio.Event) -> None:
        """Observe a service that starts on `bus`, and sets `is_ready` when it is ready."""
        self._bus, self._is_ready = bus, is_ready

    async def beat(self) -> None:
        """Record periodically that the event loop is running, and its delay, until cancelled."""
        lag = LoopLag(self._clock())
        self._seen = self._clock()
        while True:
            await anyio.sleep(BEAT_S)
            now = self._clock()
            LOOP_LAG.set(lag.record(max(0.0, now - self._seen - BEAT_S), now))
            self._seen = now

    @property
    def checks(self) -> Mapping[str, Callable[[], str]]:
        """The checks, by HTTP path."""
        return {"/livez": self.alive, "/readyz": self.ready}

    def alive(self) -> str:
        """Return why the process must be restarted, or an empty string."""
        silent_s = self._clock() - self._seen
        return f"the event loop has been blocked for {silent_s:.0f} s" if silent_s > STUCK_S else ""

    def ready(self) -> str:
        """Return why the process accepts no work at the moment, or an empty string."""
        if self._is_stopping():
            return "stopping"
        if self._bus is None or not self._bus.is_connected:
            return "no connection to NATS"
        return "" if self._is_ready is not None and self._is_ready.is_set() else "starting"
