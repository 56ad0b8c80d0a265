"""Read several subjects of a stream as a user who may read them only one at a time.

The server checks the filter of a consumer against the user's permissions if it is a single subject.
A user with permissions for some streams therefore reads each subject with a consumer of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Final

import anyio

from cwt_runtime.bus import DurableLog, StoredMessage

__all__ = ["replay_each"]

#: Interval of reads of the log, seconds.
POLL_S: Final = 0.25


async def replay_each(
    log: DurableLog, stream: str, subjects: tuple[str, ...], start_seq: int
) -> AsyncGenerator[StoredMessage]:
    """Yield messages in the order of the log, without end, as `DurableLog.replay` does.

    Raises
    ------
    BusError
        As `DurableLog.read`, and while the server is unreachable.
    """
    while True:
        # Messages that are stored while the subjects are read one by one belong to the next round.
        end = await log.last_seq(stream)
        if end >= start_seq:
            async with aclosing(_merged(log, stream, subjects, start_seq, end)) as stored:
                async for each in stored:
                    yield each
            start_seq = end + 1
        await anyio.sleep(POLL_S)


async def _merged(
    log: DurableLog, stream: str, subjects: tuple[str, ...], start_seq: int, end: int
) -> AsyncGenerator[StoredMessage]:
    async with AsyncExitStack() as stack:
        heads: list[tuple[StoredMessage, AsyncIterator[StoredMessage]]] = []
        for subject in subjects:
            reading = log.read(stream, (subject,), start_seq=start_seq)
            await _advance(heads, await stack.enter_async_context(reading), end)
        while heads:
            first = min(heads, key=lambda head: head[0].seq)
            heads.remove(first)
            yield first[0]
            await _advance(heads, first[1], end)


async def _advance(
    heads: list[tuple[StoredMessage, AsyncIterator[StoredMessage]]],
    stored: AsyncIterator[StoredMessage],
    end: int,
) -> None:
    """Add the next message to `heads`, unless it is after `end`."""
    following = await anext(stored, None)
    if following is not None and following.seq <= end:
        heads.append((following, stored))
