"""Split a byte stream into lines of text, without colours and cursor movements."""

from __future__ import annotations

__all__ = ["MAX_LINE", "TerminalText"]

#: Length of the longest tail that can be a prompt.
MAX_PROMPT = 16

#: Longest line kept, in characters. All output of this project's program is shorter; a device that
#: sends no line ends must not fill the host's memory.
MAX_LINE = 2048

_ESCAPE = 0x1B
_FINAL = range(0x40, 0x7F)
_PRINTABLE = range(0x20, 0x7F)


class TerminalText:
    """Split a byte stream into lines, independently of its division into pieces.

    A line ends with LF. Control sequences (ECMA-48: ESC, ``[``, parameters, a final byte), other
    escapes of two characters, CR and other unprintable characters are removed.
    """

    def __init__(self) -> None:
        self._line: list[str] = []
        self._escape = ""

    @property
    def tail(self) -> str:
        """Text after the last line end, such as a prompt."""
        return "".join(self._line)

    def take(self, byte: int) -> tuple[str | None, bool]:
        """Return the line that `byte` completes, if any, and whether `tail` may be a prompt."""
        if self._escape:
            self._escape = self._after_escape(byte)
        elif byte == _ESCAPE:
            self._escape = "ESC"
        elif byte == 0x0A:
            line, self._line = self.tail, []
            return line, False
        elif byte in _PRINTABLE and len(self._line) < MAX_LINE:
            self._line.append(chr(byte))
            return None, byte == 0x20 and len(self._line) <= MAX_PROMPT
        return None, False

    def _after_escape(self, byte: int) -> str:
        if byte == _ESCAPE:
            return "ESC"
        if self._escape == "ESC":
            return "CSI" if byte == ord("[") else ""
        return "" if byte in _FINAL else "CSI"
