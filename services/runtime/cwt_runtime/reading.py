"""Decode message bodies without blocking the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio.to_thread

__all__ = ["THREAD_FROM_BYTES", "read_body"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

#: Decoding a body of this size takes up to 30 ms as lists of one byte each, the most expensive
#: form, 7 ms as lists of numbers, and microseconds as packed arrays. For smaller bodies a thread
#: costs more than it saves.
THREAD_FROM_BYTES = 64 * 1024


async def read_body(size: int, decode: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Call `decode`, which reads `size` bytes; use a thread if the body is large."""
    if size < THREAD_FROM_BYTES:
        return decode(*arguments)
    return await anyio.to_thread.run_sync(decode, *arguments)
