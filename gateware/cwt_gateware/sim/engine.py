"""What runs the design: the interface of both simulators."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Engine", "EngineError", "Progress"]


class EngineError(Exception):
    """A simulator that cannot be had; the message says what to install."""


class Progress(NamedTuple):
    """What came of running for a while."""

    #: Bytes of the input that the device took, from the beginning.
    taken: int
    #: Bytes that it sent.
    sent: bytes
    #: It goes on by itself, without more input.
    working: bool
    #: How long that took it.
    clocks: int


class Engine(Protocol):
    """A device that stands still between calls."""

    def run(self, received: bytes, clocks: int) -> Progress:
        """Offer bytes to the device, and run it for at most so many clocks.

        It returns earlier when all was taken and the device waits for more.
        """

    def set_host_divisor(self, divisor: int) -> None:
        """Say how many clocks a bit of the host takes; an engine at byte level has no bits."""

    def close(self) -> None:
        """Give its memory back."""
