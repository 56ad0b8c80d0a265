"""Reading a stream in order, inside one process."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import anyio
import anyio.lowlevel

from cwt_runtime.bus import StoredMessage
from cwt_schemas.headers import MSG_SIZE
from tests.memory_bus.subject import matches

__all__ = ["MemoryReplay", "ReplayedStream"]


class ReplayedStream(Protocol):
    """The stream that is read."""

    messages: dict[int, StoredMessage]
    last_seq: int
    grown: anyio.Event


class MemoryReplay:
    """Every message on `subjects` from a place and a time on, in order.

    With `follow`, it waits for new messages without end; otherwise it ends when it has caught up.
    A cancelled read loses nothing: the next one continues.
    """

    def __init__(
        self,
        stream: ReplayedStream,
        subjects: tuple[str, ...],
        start_seq: int,
        start_time_ns: int,
        *,
        headers_only: bool = False,
        follow: bool = True,
    ) -> None:
        self._stream = stream
        self._subjects = subjects
        self._next_seq = max(start_seq, 1)
        self._start_time_ns = start_time_ns
        self._headers_only = headers_only
        self._follow = follow

    def __aiter__(self) -> MemoryReplay:
        return self

    async def __anext__(self) -> StoredMessage:
        await anyio.lowlevel.checkpoint()
        while True:
            while self._next_seq <= self._stream.last_seq:
                stored = self._stream.messages.get(self._next_seq)
                self._next_seq += 1
                if stored and self._wants(stored):
                    message = stored.message
                    if self._headers_only:
                        size = {MSG_SIZE: str(len(message.data))}
                        message = replace(message, data=b"", headers={**message.headers, **size})
                    return replace(stored, message=message, pending=self._pending())
            if not self._follow:
                raise StopAsyncIteration
            await self._stream.grown.wait()

    def _wants(self, stored: StoredMessage) -> bool:
        return stored.stored_ns >= self._start_time_ns and any(
            matches(pattern, stored.message.subject) for pattern in self._subjects
        )

    def _pending(self) -> int:
        later = range(self._next_seq, self._stream.last_seq + 1)
        held = (self._stream.messages.get(seq) for seq in later)
        return sum(stored is not None and self._wants(stored) for stored in held)
