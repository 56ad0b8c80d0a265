"""Results and events out of the result log, in the order they were stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from schemas import storage
from schemas.codec import content_type_of, decode
from schemas.message import PersistedMessage
from services.runtime.bus import Log, StoredMessage

__all__ = ["Feed", "open_feed"]

Kept = TypeVar("Kept", bound=PersistedMessage)


class Feed(Generic[Kept]):
    """An endless iteration over what is kept and what comes.

    Delivery is at least once: a reader that must not count twice compares the ids.

    Attributes
    ----------
    seq : int
        Place of the last message in the log; `start_seq = seq + 1` goes on there.
    """

    def __init__(self, messages: AsyncIterator[StoredMessage], model: type[Kept]) -> None:
        self._messages = messages
        self._model = model
        self.seq = 0

    def __aiter__(self) -> Feed[Kept]:
        return self

    async def __anext__(self) -> Kept:
        stored = await anext(self._messages)
        self.seq = stored.seq
        message = stored.message
        return decode(self._model, message.data, content_type_of(message.headers))


@asynccontextmanager
async def open_feed(
    log: Log, model: type[Kept], subject: str, *, start_seq: int
) -> AsyncIterator[Feed[Kept]]:
    """Read the messages on `subject` while the context is open."""
    async with log.replay(storage.RESULTS, (subject,), start_seq=start_seq) as messages:
        yield Feed(messages, model)
