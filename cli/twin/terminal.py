"""The twin behind a pseudo-terminal, so that any program for serial ports can open it."""

from __future__ import annotations

import os
import select
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Self

from cli.twin.console import Console

__all__ = ["TwinTerminal"]

_CHUNK = 4096


class TwinTerminal:
    """A pseudo-terminal with a twin at its far end; `port` is the name to open.

    Bytes that arrive while code runs are dropped, but for the ``q`` that stops it.
    """

    def __init__(self) -> None:
        self._far, self._near = os.openpty()
        # The near end stays open here, else the twin would see a hang-up when its user leaves.
        tty.setraw(self._near)
        self.port = os.ttyname(self._near)
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

    def serve(self, stopped: Callable[[], bool], wait_s: float = 0.1) -> None:
        """Answer until `stopped` says so; it is asked about every `wait_s`."""
        while not stopped():
            if self._readable(wait_s):
                self._console.type(os.read(self._far, _CHUNK))

    def _readable(self, wait_s: float) -> bool:
        return bool(select.select([self._far], [], [], wait_s)[0])

    def _typed(self) -> bytes:
        return os.read(self._far, _CHUNK) if self._readable(0) else b""

    def _show(self, data: bytes) -> None:
        os.write(self._far, data)
