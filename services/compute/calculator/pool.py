"""The calculators of one service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from services.compute.calculator.process import Calculator

__all__ = ["CalculatorPool", "open_pool"]


class CalculatorPool:
    """So many calculators as may compute at the same time; who comes first is served first."""

    def __init__(self, worker: str, size: int) -> None:
        self.size = size
        self._free = [Calculator(worker) for _ in range(size)]
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
        """Have a calculator that nobody wants, or None at once."""
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
        """Kill them all."""
        for each in self._every:
            await each.close()


@asynccontextmanager
async def open_pool(worker: str, size: int) -> AsyncIterator[CalculatorPool]:
    """Have calculators while the context is open; none of them outlives it."""
    pool = CalculatorPool(worker, size)
    try:
        yield pool
    finally:
        await pool.close()
