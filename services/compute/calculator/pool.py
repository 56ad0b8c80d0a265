"""The calculators of one service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from services.compute.calculator.fork_server import ForkServer
from services.compute.calculator.process import Calculator

__all__ = ["CalculatorPool", "open_pool"]


class CalculatorPool:
    """The calculators that may compute at the same time, in the order of the requests."""

    def __init__(self, server: ForkServer, worker: str, size: int) -> None:
        self.size = size
        self._free = [Calculator(server, worker) for _ in range(size)]
        self._every = tuple(self._free)
        self._slots = anyio.Semaphore(size)

    @asynccontextmanager
    async def calculator(self) -> AsyncIterator[Calculator]:
        """Wait for a calculator, and have it while the context is open."""
        async with self._slots:
            mine = self._free.pop()
            try:
                yield mine
            finally:
                self._free.append(mine)

    @contextmanager
    def free_one(self) -> Iterator[Calculator | None]:
        """Have a calculator while the context is open, or None if all compute; do not wait."""
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
async def open_pool(server: ForkServer, worker: str, size: int) -> AsyncIterator[CalculatorPool]:
    """Have calculators while the context is open; none of them outlives it."""
    pool = CalculatorPool(server, worker, size)
    try:
        yield pool
    finally:
        await pool.close()
