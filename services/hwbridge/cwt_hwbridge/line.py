"""A serial line as a driver sees it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["MAX_WAIT_S", "Line"]

#: Longest timeout that a driver passes to `Line.read`, so that it checks its deadline in time.
MAX_WAIT_S = 0.1


class Line(Protocol):
    """Bytes to and from one device, 8 data bits, no parity, one stop bit.

    Guarantees: bytes arrive in order, and may be lost, corrupted or spurious. Only the thread that
    owns a line uses it. Every call returns within its documented time, whatever the device does.
    After an error, every later call raises too.
    """

    @property
    def baud(self) -> int:
        """The current rate, baud."""

    def read(self, timeout_s: float) -> bytes:
        """Return the received bytes; wait up to `timeout_s` for the first one, then return none.

        Raises
        ------
        LineLostError
            The port was lost.
        """

    def write(self, data: bytes) -> None:
        """Pass all of `data` to the operating system, within the time needed to send it.

        Raises
        ------
        LineLostError
            The port was lost, or does not accept data.
        """

    def set_baud(self, baud: int) -> None:
        """Change the rate after all written bytes were sent.

        Raises
        ------
        LineLostError
            The port was lost, or does not support this rate.
        """

    def close(self) -> None:
        """Close the port; closing twice is allowed."""
