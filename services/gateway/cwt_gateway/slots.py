"""Slots for work that takes much memory: what finds none is refused, and does not wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from cwt_schemas.errors import Overloaded

__all__ = ["Slots"]

#: When a client that was refused may try again.
RETRY_S: Final = 10


class Slots:
    """A number of slots.

    Parameters
    ----------
    limit
        How many there are.
    work
        What takes them and what to do while all are taken, such as ``exports are sent: ask later``.
    """

    def __init__(self, limit: int, work: str) -> None:
        self._refusal = f"{limit} {work}"
        self._free = anyio.Semaphore(limit)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take a slot while the context is open.

        Raises
        ------
        Overloaded
            All are taken.
        """
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            raise Overloaded(self._refusal, {"retry_after_s": RETRY_S}) from None
        try:
            yield
        finally:
            self._free.release()
