"""The prompt of an ELM11 per its manufacturer: echo, continuation, command mode, ``q``."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from cwt_cli.twin.interpreter import Interpreter

__all__ = ["Console"]

_BACKSPACES = (0x08, 0x7F)
_GREEN, _PLAIN = "\x1b[32m", "\x1b[0m"


class _Mode(Enum):
    LUA = "$ "
    CONTINUED = "$$ "
    COMMAND = "/ "


class Console:
    """The console of the board: receives typed bytes, and sends bytes to show.

    Parameters
    ----------
    show
        Called with the bytes that the device sends.
    typed
        Returns the bytes that were typed while code runs, without waiting.
    """

    def __init__(self, show: Callable[[bytes], None], typed: Callable[[], bytes]) -> None:
        self._show = show
        self._typed = typed
        self.boot()

    def boot(self) -> None:
        """Restart the interpreter, as after a reset; all definitions are lost."""
        self._lua = Interpreter(self._print, self._stopped)
        self._mode = _Mode.LUA
        self._source = ""
        self._line = bytearray()
        self._print("\r\nsemantics twin of an ELM11: no board, no timing\r\n")
        self._prompt()

    def type(self, data: bytes) -> None:
        """Process bytes typed at the prompt."""
        for byte in data:
            if byte == 0x0D:
                self._enter()
            elif byte in _BACKSPACES and self._line:
                self._line.pop()
                self._show(b"\x08 \x08")
            elif 0x20 <= byte < 0x7F:
                self._line.append(byte)
                self._show(bytes([byte]))

    def _enter(self) -> None:
        line = self._line.decode("ascii")
        self._line.clear()
        self._print("\r\n")
        if self._mode is _Mode.COMMAND:
            self._command(line)
        elif self._mode is _Mode.LUA and line in ("cmd", "command"):
            self._mode = _Mode.COMMAND
        else:
            self._evaluate(line)
        self._prompt()

    def _evaluate(self, line: str) -> None:
        self._source += line + "\n"
        if self._lua.evaluate(self._source):
            self._mode = _Mode.CONTINUED
        else:
            self._mode, self._source = _Mode.LUA, ""

    def _command(self, line: str) -> None:
        if line == "exit":
            self._mode = _Mode.LUA
        elif line:
            self._print(f"unknown command: {line}\r\n")

    def _prompt(self) -> None:
        self._print(f"{_GREEN}{self._mode.value}{_PLAIN}")

    def _print(self, text: str) -> None:
        self._show(text.encode("latin-1"))

    def _stopped(self) -> bool:
        return b"q" in self._typed()
