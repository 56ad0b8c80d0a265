"""Health of a service, reported on request.

The checks send requests to the server, so they run only on request and at most once per second,
independent of the number of clients.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from cwt_runtime.rpc.micro import Identity
from cwt_schemas.service import HealthReply, HealthRequest

__all__ = ["ServiceHealth"]

#: Time for which the result of the checks is reused, seconds.
AGE_S = 1.0


class ServiceHealth:
    """Report problems of a service and of its dependencies.

    Parameters
    ----------
    problems
        Run the checks and return one sentence per problem.
    lag
        Return the number of messages that wait for the service, or None if it is unknown.
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
        #: Time and result of the last checks.
        self._checked: tuple[float, dict[str, Any]] | None = None

    async def reply(self, request: HealthRequest) -> HealthReply:
        """Return the reply to ``health``."""
        del request
        async with self._lock:
            if self._checked is None or anyio.current_time() - self._checked[0] >= AGE_S:
                self._checked = anyio.current_time(), await self._check()
            results = self._checked[1]
        is_well = not results["problems"] and results["lag"] is not None
        return HealthReply(
            status="stopping" if self._is_stopping() else "ok" if is_well else "degraded",
            version=self._identity.version,
            uptime_s=time.monotonic() - self._started,
            **results,
        )

    async def _check(self) -> dict[str, Any]:
        results: dict[str, Any] = {}

        async def check(name: str, work: Callable[[], Awaitable[object]]) -> None:
            results[name] = await work()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(check, "problems", self._problems)
            tasks.start_soon(check, "lag", self._lag)
        return results
