"""`pycwt_client.Feed` for a program that waits."""

from __future__ import annotations

from typing import TypeVar

import anyio

from pycwt_client.blocking.face import Blocking
from pycwt_client.feed import Feed as AsyncFeed
from schemas.message import PersistedMessage

__all__ = ["Feed"]

Kept = TypeVar("Kept", bound=PersistedMessage)


class Feed(Blocking[AsyncFeed[Kept]]):
    """An endless iteration over what is kept and what comes, as `pycwt_client.Feed`."""

    def __iter__(self) -> Feed[Kept]:
        return self

    def __next__(self) -> Kept:
        return self._wait(self._own.__anext__)

    def read(self, timeout_s: float) -> Kept:
        """Return the next message.

        Raises
        ------
        TimeoutError
            None came within `timeout_s` seconds; nothing is lost, the next read goes on.
        """

        async def read() -> Kept:
            with anyio.fail_after(timeout_s):
                return await anext(self._own)

        return self._wait(read)

    @property
    def seq(self) -> int:
        """Place of the last message in the log; `start_seq = seq + 1` goes on there."""
        return self._own.seq

    @property
    def skipped(self) -> int:
        """Messages passed over because nobody can read them."""
        return self._own.skipped

    @property
    def repeated(self) -> int:
        """Messages passed over because they came before."""
        return self._own.repeated
