"""The compute processes of one service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from services.compute.processes.fork_server import ForkServer
from services.compute.processes.process import ComputeProcess

__all__ = ["ProcessPool", "open_pool"]


class ProcessPool:
    """The compute processes that may compute at the same time, in the order of the requests."""

    def __init__(self, server: ForkServer, worker: str, size: int) -> None:
        self.size = size
        self._free = [ComputeProcess(server, worker) for _ in range(size)]
        self._every = tuple(self._free)
        self._slots = anyio.Semaphore(size)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[ComputeProcess]:
        """Wait for a compute process, and have it while the context is open."""
        async with self._slots:
            mine = self._free.pop()
            try:
                yield mine
            finally:
                self._free.append(mine)

    @contextmanager
    def free_one(self) -> Iterator[ComputeProcess | None]:
        """Have a compute process while the context is open, or None if all compute; do not wait."""
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            yield None
            return
        mine = self._free.pop()
        try:
            yield mine
        finally:
            self._free.append(mine)
            self._slots.release()

    async def close(self) -> None:
        """Kill all processes."""
        for each in self._every:
            await each.close()


@asynccontextmanager
async def open_pool(server: ForkServer, worker: str, size: int) -> AsyncIterator[ProcessPool]:
    """Have compute processes while the context is open; none of them outlives it."""
    pool = ProcessPool(server, worker, size)
    try:
        yield pool
    finally:
        await pool.close()
