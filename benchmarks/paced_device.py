"""The simulated device of the tests at the pace of a serial line, in both directions."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

from tests.hwpeer.peer import DevicePeer
from tests.hwpeer.pty_device import PtyDevice

__all__ = ["BITS", "PacedDevice", "Wire"]

#: Bits per byte on the line, including start and stop bits.
BITS = 10
#: Interval between reads; a USB chip forwards bytes in small packets, not in bulk.
TICK_S = 0.0005
#: Timeout for the first byte, as in `PtyDevice`.
IDLE_S = 0.02


class Wire:
    """Bytes in flight in one direction."""

    def __init__(self) -> None:
        self._bytes = b""
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._bytes)

    def put(self, data: bytes, now: float) -> None:
        if not self._bytes:
            self._since = now
        self._bytes += data

    def take(self, now: float, baud: float) -> bytes:
        """Return the bytes that have reached the other end by now."""
        count = min(len(self._bytes), int((now - self._since) * baud / BITS))
        self._since += count * BITS / baud
        arrived, self._bytes = self._bytes[:count], self._bytes[count:]
        return arrived


class PacedDevice(PtyDevice):
    """A device that receives and answers at the pace of a line with its current rate."""

    def __init__(self, path: Path, peer: DevicePeer) -> None:
        super().__init__(path, peer)
        self._to_device, self._to_host = Wire(), Wire()

    def _exchange(self, master: int) -> None:
        baud = self.peer.identity.clock_hz / self.peer.divisor
        moving = max(len(self._to_device), len(self._to_host))
        if moving:
            time.sleep(min(TICK_S, moving * BITS / baud))
        if select.select([master], [], [], 0 if moving else IDLE_S)[0]:
            self._to_device.put(os.read(master, 65_536), time.monotonic())
        now = time.monotonic()
        heard = self._to_device.take(now, baud)
        if heard:
            self._to_host.put(self.peer.feed(heard, now), now)
        self._write(master, self._to_host.take(now, baud))
