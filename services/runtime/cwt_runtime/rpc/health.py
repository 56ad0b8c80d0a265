"""How a service is, as it answers whoever asks.

What is looked at costs the server some requests, so it is looked at only when somebody asks, and
not more often than every second, however many ask.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from cwt_runtime.rpc.micro import Identity
from cwt_schemas.query import HealthReply, HealthRequest

__all__ = ["ServiceHealth"]

#: For how long what was found is told again.
AGE_S = 1.0


class ServiceHealth:
    """Answers what is wrong with a service and with what it depends on.

    Parameters
    ----------
    problems
        Looks for what is wrong, and returns one sentence for each.
    lag
        Looks how many messages wait for the service; None if that cannot be known.
    """

    def __init__(
        self,
        identity: Identity,
        is_stopping: Callable[[], bool],
        problems: Callable[[], Awaitable[tuple[str, ...]]],
        lag: Callable[[], Awaitable[int | None]],
    ) -> None:
        self._identity = identity
        self._is_stopping = is_stopping
        self._problems = problems
        self._lag = lag
        self._started = time.monotonic()
        self._lock = anyio.Lock()
        #: When it was looked, and what was found.
        self._found: tuple[float, dict[str, Any]] | None = None

    async def reply(self, request: HealthRequest) -> HealthReply:
        """Answer ``health``."""
        del request
        async with self._lock:
            if self._found is None or anyio.current_time() - self._found[0] >= AGE_S:
                self._found = anyio.current_time(), await self._look()
            found = self._found[1]
        is_well = not found["problems"] and found["lag"] is not None
        return HealthReply(
            status="stopping" if self._is_stopping() else "ok" if is_well else "degraded",
            version=self._identity.version,
            uptime_s=time.monotonic() - self._started,
            **found,
        )

    async def _look(self) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def look(name: str, work: Callable[[], Awaitable[object]]) -> None:
            found[name] = await work()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, "problems", self._problems)
            tasks.start_soon(look, "lag", self._lag)
        return found
