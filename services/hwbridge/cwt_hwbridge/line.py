"""A serial line as a driver sees it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["MAX_WAIT_S", "Line"]

#: Longest wait that a driver asks of `Line.read`, so that it looks at its deadline often enough.
MAX_WAIT_S = 0.1


class Line(Protocol):
    """Bytes to and from one device, 8 data bits, no parity, one stop bit.

    Guarantees: bytes arrive in order, and may be lost, changed or made up on the way. It is used
    by the one thread that owns it; every call returns within the time that it states, whatever the
    device does. Once it has raised, every later call raises too.
    """

    @property
    def baud(self) -> int:
        """The present rate."""

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived; wait up to `timeout_s` for the first byte, then return none.

        Raises
        ------
        LineLostError
            The port is gone.
        """

    def write(self, data: bytes) -> None:
        """Hand all of `data` to the operating system, within the time that it takes to send.

        Raises
        ------
        LineLostError
            The port is gone, or takes nothing.
        """

    def set_baud(self, baud: int) -> None:
        """Change the rate once all that was written has left.

        Raises
        ------
        LineLostError
            The port is gone, or cannot have this rate.
        """

    def close(self) -> None:
        """Give the port back; closing twice is no error."""
