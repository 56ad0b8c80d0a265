"""A stream's share of the window queue.

Every stream may have so many windows waiting and no more. What a stream makes beyond what its
workers do waits in the signal log, as chunks, and the windows of the other streams pass it.
"""

from __future__ import annotations

import anyio

from schemas import storage, subjects
from services.ingest.backlog import WindowBacklog
from services.runtime.bus import DurableLog

__all__ = ["WindowQueue"]

#: Pause between two looks whether workers have made room.
LOOK_S = 0.05


class WindowQueue:
    """The windows of one stream that wait for workers."""

    def __init__(self, bus_log: DurableLog, stream: str, backlog: WindowBacklog) -> None:
        self._bus_log = bus_log
        self._pattern = subjects.windows_of(stream)
        self.backlog = backlog
        #: Windows on their way: the server may count them already, or not yet.
        self.storing = 0

    async def look(self) -> None:
        """Ask the server how many there are."""
        counts = await self._bus_log.subject_counts(storage.WINDOWS, self._pattern)
        self.backlog.observed(sum(counts.values()) + self.storing)

    async def room(self) -> bool:
        """Return True as soon as the stream may put one more window there."""
        while self.backlog.is_full:
            await self.look()
            if self.backlog.is_full:
                await anyio.sleep(LOOK_S)
        return True
