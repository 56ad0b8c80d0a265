"""Lines with a twin at the far end, in this process: no port, no waiting, faults to order."""

from __future__ import annotations

from collections.abc import Callable

from cwt_cli.twin.console import Console

#: What a fault makes of the bytes of one direction.
Change = Callable[[bytes], bytes]


def unchanged(data: bytes) -> bytes:
    return data


class VirtualLine:
    """A `cwt_hwbridge.line.Line` whose time passes only where somebody waits for a byte."""

    baud = 115_200

    def __init__(self) -> None:
        self.now = 0.0
        self.arrived = bytearray()

    def clock(self) -> float:
        return self.now

    def read(self, timeout_s: float) -> bytes:
        if not self.arrived:
            self.now += timeout_s
        data = bytes(self.arrived)
        self.arrived.clear()
        return data

    def write(self, data: bytes) -> None:
        """Send to nobody."""

    def set_baud(self, baud: int) -> None:
        raise AssertionError(f"nobody asks an ELM11 for {baud=}")

    def close(self) -> None:
        """Nothing to close."""


class TwinLine(VirtualLine):
    """`up` changes what the host sends, `down` what the twin answers."""

    def __init__(self) -> None:
        super().__init__()
        self.up: Change = unchanged
        self.down: Change = unchanged
        self.sent = 0
        self.twin = Console(self._show, lambda: b"")
        self.arrived.clear()

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        self.twin.type(self.up(data))

    def _show(self, data: bytes) -> None:
        self.arrived += self.down(data)
