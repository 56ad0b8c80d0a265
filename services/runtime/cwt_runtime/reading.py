"""Reading what a message holds without stopping the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio.to_thread

__all__ = ["THREAD_FROM_BYTES", "read_body"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

#: As lists of numbers, the most expensive form, a body of this size is read in some 15 ms; packed
#: arrays take microseconds. Below it, a thread would cost more than it saves.
THREAD_FROM_BYTES = 128 * 1024


async def read_body(size: int, decode: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Return what `decode` returns, which reads `size` bytes: in a thread if they are many."""
    if size < THREAD_FROM_BYTES:
        return decode(*arguments)
    return await anyio.to_thread.run_sync(decode, *arguments)
