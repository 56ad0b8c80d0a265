"""Read single key presses from a terminal, without Enter."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio

__all__ = ["keys", "single_keys"]


@contextmanager
def single_keys() -> Iterator[bool]:
    """Switch the terminal to single key presses; yield False if stdin is not a terminal."""
    if not sys.stdin.isatty():
        yield False
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield True
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def keys() -> AsyncIterator[str]:
    """Iterate over the pressed keys."""
    fd = sys.stdin.fileno()
    while True:
        await anyio.wait_readable(fd)
        pressed = os.read(fd, 64).decode(errors="replace")
        if not pressed:
            return
        for key in pressed:
            yield key
