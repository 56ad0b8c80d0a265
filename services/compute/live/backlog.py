"""How many windows wait for all workers, requested from the server at a limited rate."""

from __future__ import annotations

import anyio

from schemas import storage
from services.runtime.bus import DurableLog
from services.runtime.bus.errors import BusError

__all__ = ["QueueBacklog"]

#: As old as a number may be that is told; many clients asking at once cost the server one question.
MAX_AGE_S = 0.25
#: JetStream answers within a millisecond; whoever asks for the health shall not wait for it long.
PATIENCE_S = 1.0


class QueueBacklog:
    """The backlog of the window queue."""

    def __init__(self, log: DurableLog) -> None:
        self._log = log
        self._asking = anyio.Lock()
        self._asked_at = -MAX_AGE_S
        self._windows: int | None = None

    async def now(self) -> int | None:
        """Return the windows not yet acknowledged; None if JetStream does not say."""
        async with self._asking:
            if anyio.current_time() - self._asked_at >= MAX_AGE_S:
                self._windows = await self._ask()
                self._asked_at = anyio.current_time()
        return self._windows

    async def _ask(self) -> int | None:
        try:
            with anyio.move_on_after(PATIENCE_S):
                backlog = await self._log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
                return backlog.waiting + backlog.in_flight
        except BusError:
            pass  # told by the missing number
        return None
