"""A cache of expensive replies, shared by all workers; losing one costs only time."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from pycwt_mod import MonteCarloPlan, __version__
from schemas import storage
from schemas.codec import ContentType, decode, encode
from schemas.errors import ContractError
from schemas.message import Message
from services.compute.queries import content_digest
from services.runtime.bus import DurableLog, Objects
from services.runtime.bus.errors import BusError

__all__ = ["ReplyCache", "key_of"]

Reply = TypeVar("Reply", bound=Message)

#: A store slower than this would take longer than computing.
TIMEOUT_S = 0.5
LEAST_BYTES_PER_S = 50e6
#: After a failure the store is not used for so long.
PAUSE_S = 10.0


def key_of(request: Message) -> str:
    """Return the name of the answer: of all fields, and of what computes it."""
    engine = f"{__version__}.{MonteCarloPlan.version}"
    return f"{type(request).__name__}-{engine}-{content_digest(request).hex()}"


def timeout_s(size: int) -> float:
    """Return how long the store may take for an answer of so many bytes."""
    return TIMEOUT_S + size / LEAST_BYTES_PER_S


class ReplyCache:
    """The object bucket ``cwt_answers``, which drops its oldest when it is full.

    A failure of the store is a miss, not an error.
    """

    def __init__(self, log: DurableLog) -> None:
        self._log = log
        self._bucket: Objects | None = None
        self._paused_until = -1.0

    async def get(self, key: str, reply: type[Reply], *, about_bytes: int = 0) -> Reply | None:
        """Return the answer under `key`, of about so many bytes; None if it is not there."""
        body: bytes | None = None
        if anyio.current_time() < self._paused_until:
            return None
        try:
            with anyio.move_on_after(timeout_s(about_bytes)) as deadline:
                body = await (await self._opened()).get(key)
            if deadline.cancelled_caught:
                self._pause()
            if body is None:
                return None
            read = partial(decode, reply, body, ContentType.MSGPACK, max_bytes=None)
            return await anyio.to_thread.run_sync(read)
        except BusError:
            self._pause()
            return None
        except ContractError:  # of another version that has the same number
            return None

    async def put(self, key: str, reply: Message) -> None:
        """Store `reply`, unless the store failed a moment ago."""
        if anyio.current_time() < self._paused_until:
            return
        write = partial(encode, reply, ContentType.MSGPACK, max_bytes=None)
        body = await anyio.to_thread.run_sync(write)
        try:
            with anyio.move_on_after(timeout_s(len(body))) as deadline:
                await (await self._opened()).put(key, body)
            if deadline.cancelled_caught:
                self._pause()
        except BusError:
            self._pause()

    async def _opened(self) -> Objects:
        if self._bucket is None:
            self._bucket = await self._log.objects(storage.ANSWERS)
        return self._bucket

    def _pause(self) -> None:
        self._paused_until = anyio.current_time() + PAUSE_S
