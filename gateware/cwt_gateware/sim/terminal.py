"""A pseudo-terminal with a simulated device behind it."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from cwt_gateware.identity import CLOCK_HZ
from cwt_gateware.sim.engine import Engine

__all__ = ["Terminal", "opened_terminal", "serve"]

#: Clocks between two checks of the terminal and of `stop`; some milliseconds in Verilator.
CLOCKS = 20_000

#: Pending bytes in a direction from which its source is not read.
BACKLOG = 4096

#: Linux request for a terminal's settings with numeric rates: 44 bytes, the output rate last.
TCGETS2 = 0x802C542A
TERMIOS2_BYTES = 44


class Terminal(NamedTuple):
    """A pseudo-terminal: this end, and the name of the end that a host opens."""

    ours: int
    path: str


@contextmanager
def opened_terminal() -> Iterator[Terminal]:
    """Open a raw pseudo-terminal, which stays open when a host closes its end."""
    ours, theirs = os.openpty()
    try:
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        yield Terminal(ours, os.ttyname(theirs))
    finally:
        os.close(ours)
        os.close(theirs)


def serve(engine: Engine, terminal: int, stop: int) -> None:
    """Transfer bytes between the terminal and the device until `stop` becomes readable.

    The device is not simulated while it is idle, so an idle device uses no processor time.
    """
    received, sent = b"", b""
    working = False
    while True:
        going = (working or bool(received)) and len(sent) < BACKLOG
        readers = [stop, *([terminal] if len(received) < BACKLOG else [])]
        writers = [terminal] if sent else []
        readable, writable, _ = select.select(readers, writers, [], 0 if going else None)
        if stop in readable:
            return
        if terminal in readable:
            received += os.read(terminal, BACKLOG)
            engine.set_host_divisor(max(1, round(CLOCK_HZ / baud(terminal))))
            going = len(sent) < BACKLOG
        if writable:
            sent = sent[os.write(terminal, sent) :]
        if going:
            taken, made, working, _ = engine.run(received, CLOCKS)
            received = received[taken:]
            sent += made


def baud(terminal: int) -> int:
    """Return the rate that the host has set at its end; 38400 for a new terminal."""
    if sys.platform == "linux":
        settings = fcntl.ioctl(terminal, TCGETS2, bytes(TERMIOS2_BYTES))
        return int(struct.unpack("I", settings[-4:])[0]) or 1
    return int(termios.tcgetattr(terminal)[5]) or 1
