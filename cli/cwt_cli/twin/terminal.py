"""Run the twin behind a pseudo-terminal, which any program for serial ports can open."""

from __future__ import annotations

import os
import select
import tty
from contextlib import suppress
from types import TracebackType
from typing import Self

from cwt_cli.twin.console import Console

__all__ = ["TwinTerminal"]

_CHUNK = 4096


class TwinTerminal:
    """A pseudo-terminal connected to a twin; `port` is the name to open.

    As on the board, there is no buffering: output that the host does not read in time is lost, and
    so is input sent while code runs, except for the ``q`` that stops the code.
    """

    def __init__(self) -> None:
        self._far, self._near = os.openpty()
        # Keep the near end open; otherwise the twin would see a hang-up when its user disconnects.
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self.port = os.ttyname(self._near)
        self._stop = -1
        self._console = Console(self._show, self._typed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._far)
        os.close(self._near)

    def serve(self, stop: int) -> None:
        """Serve the terminal until `stop` becomes readable."""
        self._stop = stop
        while True:
            readable, _, _ = select.select([self._far, stop], [], [])
            if stop in readable:
                return
            self._console.type(os.read(self._far, _CHUNK))

    def _typed(self) -> bytes:
        readable, _, _ = select.select([self._far, self._stop], [], [], 0)
        if self._stop in readable:
            return b"q"
        return os.read(self._far, _CHUNK) if readable else b""

    def _show(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self._far, data)
