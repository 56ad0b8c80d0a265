"""The interface of both simulators."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Engine", "EngineError", "Progress"]


class EngineError(Exception):
    """The simulator is not available; the message says what to install."""


class Progress(NamedTuple):
    """Outcome of a run."""

    #: Number of input bytes that the device took, from the beginning.
    taken: int
    #: Bytes that the device sent.
    sent: bytes
    #: Whether the device continues without more input.
    working: bool
    #: Duration of the run in clocks of the device.
    clocks: int


class Engine(Protocol):
    """A simulated device, whose clock stops between calls."""

    def run(self, received: bytes, clocks: int) -> Progress:
        """Offer bytes to the device, and run it for at most `clocks` clocks.

        Return earlier if the device took all bytes and waits for more.
        """

    def set_host_divisor(self, divisor: int) -> None:
        """Set the duration of a bit of the host, in clocks; an engine at byte level has no bits."""

    def close(self) -> None:
        """Release the memory of the device."""
