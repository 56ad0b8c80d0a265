"""Slots for work that needs much memory; without a free slot, work is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from cwt_schemas.errors import Overloaded

__all__ = ["Slots"]

#: Retry delay of a refused client, seconds.
RETRY_S: Final = 10


class Slots:
    """A limited number of slots.

    Parameters
    ----------
    limit
        The number of slots.
    work
        Describes the work, and what to do if all slots are taken: ``exports are sent: retry
        later``.
    """

    def __init__(self, limit: int, work: str) -> None:
        self._refusal = f"{limit} {work}"
        self._free = anyio.Semaphore(limit)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot while the context is open.

        Raises
        ------
        Overloaded
            All slots are taken.
        """
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            raise Overloaded(self._refusal, {"retry_after_s": RETRY_S}) from None
        try:
            yield
        finally:
            self._free.release()
