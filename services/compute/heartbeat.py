"""Telling the server that windows are still being worked on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from services.runtime.bus import ACK_WAIT_S, Delivery
from services.runtime.bus.errors import BusError

__all__ = ["HEARTBEAT_S", "Heartbeat"]

#: Often enough that a window under way is never taken for abandoned.
HEARTBEAT_S = ACK_WAIT_S / 3


class Heartbeat:
    """One pulse for all windows under way: a task of its own for each would cost each some time."""

    def __init__(self, every_s: float = HEARTBEAT_S) -> None:
        self._every_s = every_s
        self._under_way: dict[int, Delivery] = {}

    @contextmanager
    def of(self, delivery: Delivery) -> Iterator[None]:
        """Keep `delivery` alive while the context is open, as far as `run` runs."""
        self._under_way[id(delivery)] = delivery
        try:
            yield
        finally:
            del self._under_way[id(delivery)]

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await anyio.sleep(self._every_s)
            for delivery in tuple(self._under_way.values()):
                try:
                    await delivery.in_progress()
                except BusError:
                    break  # the server is away; at worst a window is computed twice
