"""Answers that were dear, kept for whoever asks the same again; losing one costs time alone."""

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

__all__ = ["KeptAnswers", "key_of"]

Reply = TypeVar("Reply", bound=Message)

#: A store that does not answer by then, and carry that much, is slower than computing.
PATIENCE_S = 0.5
LEAST_BYTES_PER_S = 50e6
#: After that it is left alone for a while.
REST_S = 10.0


def key_of(request: Message) -> str:
    """Return the name of the answer: of all fields, and of what computes it."""
    engine = f"{__version__}.{MonteCarloPlan.version}"
    return f"{type(request).__name__}-{engine}-{content_digest(request).hex()}"


def patience_s(size: int) -> float:
    """Return how long the store may take for an answer of so many bytes."""
    return PATIENCE_S + size / LEAST_BYTES_PER_S


class KeptAnswers:
    """The object bucket ``cwt_answers``, which drops its oldest when it is full.

    Whatever goes wrong with it is a miss, and nobody's error.
    """

    def __init__(self, log: DurableLog) -> None:
        self._log = log
        self._bucket: Objects | None = None
        self._rest_until = -1.0

    async def find(self, key: str, reply: type[Reply], *, about_bytes: int = 0) -> Reply | None:
        """Return the answer under `key`, of about so many bytes; None if it is not there."""
        body: bytes | None = None
        if anyio.current_time() < self._rest_until:
            return None
        try:
            with anyio.move_on_after(patience_s(about_bytes)) as patience:
                body = await (await self._opened()).get(key)
            if patience.cancelled_caught:
                self._rest()
            if body is None:
                return None
            read = partial(decode, reply, body, ContentType.MSGPACK, max_bytes=None)
            return await anyio.to_thread.run_sync(read)
        except BusError:
            self._rest()
            return None
        except ContractError:  # of another version that has the same number
            return None

    async def keep(self, key: str, reply: Message) -> None:
        """Keep `reply` if there is somewhere to keep it."""
        if anyio.current_time() < self._rest_until:
            return
        write = partial(encode, reply, ContentType.MSGPACK, max_bytes=None)
        body = await anyio.to_thread.run_sync(write)
        try:
            with anyio.move_on_after(patience_s(len(body))) as patience:
                await (await self._opened()).put(key, body)
            if patience.cancelled_caught:
                self._rest()
        except BusError:
            self._rest()

    async def _opened(self) -> Objects:
        if self._bucket is None:
            self._bucket = await self._log.objects(storage.ANSWERS)
        return self._bucket

    def _rest(self) -> None:
        self._rest_until = anyio.current_time() + REST_S
