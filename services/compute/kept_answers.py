"""Answers that were dear, kept for whoever asks the same again; losing one costs time alone."""

from __future__ import annotations

from typing import TypeVar

import anyio

from pycwt_mod import MonteCarloPlan, __version__
from schemas import storage
from schemas.codec import ContentType, decode, encode
from schemas.errors import ContractError
from schemas.message import Message
from services.compute.queries import content_digest
from services.runtime.bus import Log, Objects
from services.runtime.errors import BusError

__all__ = ["KeptAnswers", "key_of"]

Reply = TypeVar("Reply", bound=Message)

#: A store that does not answer by then is slower than computing; no question waits for it longer.
PATIENCE_S = 0.5
#: After that it is left alone for a while.
REST_S = 10.0


def key_of(request: Message) -> str:
    """Return the name of the answer: of all fields, and of what computes it."""
    engine = f"{__version__}.{MonteCarloPlan.version}"
    return f"{type(request).__name__}-{engine}-{content_digest(request).hex()}"


class KeptAnswers:
    """The object bucket ``cwt_answers``, which drops its oldest when it is full.

    Whatever goes wrong with it is a miss, and nobody's error.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._bucket: Objects | None = None
        self._rest_until = -1.0

    async def find(self, key: str, reply: type[Reply]) -> Reply | None:
        """Return the answer under `key`; None if it is not there."""
        body: bytes | None = None
        if anyio.current_time() < self._rest_until:
            return None
        try:
            with anyio.move_on_after(PATIENCE_S) as patience:
                body = await (await self._opened()).get(key)
            if patience.cancelled_caught:
                self._rest()
            if body is None:
                return None
            return decode(reply, body, ContentType.MSGPACK, max_bytes=None)
        except BusError:
            self._rest()
            return None
        except ContractError:  # of another version that has the same number
            return None

    async def keep(self, key: str, reply: Message) -> None:
        """Keep `reply` if there is somewhere to keep it."""
        if anyio.current_time() < self._rest_until:
            return
        body = encode(reply, ContentType.MSGPACK, max_bytes=None)
        try:
            with anyio.move_on_after(PATIENCE_S) as patience:
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
