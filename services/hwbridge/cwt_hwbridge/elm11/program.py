"""The program of the ELM11, and the lines that upload and call it.

A line at the prompt is one statement, and its local variables end with it. Therefore the upload
sends the lines of ``bootstrap.lua`` first, then the program in pieces that are joined and loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from cwt_hwbridge.elm11.repl import checksum

__all__ = [
    "MAX_SENT",
    "START",
    "LuaProgram",
    "asked",
    "bootstrap",
    "hello_line",
    "program",
    "said",
]

#: Longest line to send, in characters. The limit of the prompt is not documented; a person might
#: type slightly more than two hundred.
MAX_SENT = 240

#: Characters of the program per piece, before escaping with backslashes.
_PIECE = 160


@dataclass(frozen=True, kw_only=True)
class LuaProgram:
    """The program to upload; `build` identifies it, and is reported by the device."""

    text: str
    build: str

    @property
    def pieces(self) -> tuple[str, ...]:
        """Split the text into pieces, each short enough for a line."""
        return tuple(self.text[at : at + _PIECE] for at in range(0, len(self.text), _PIECE))

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return the statements that send the pieces, each with its expected reply."""
        return tuple(
            (f'_P[{i}]="{_quoted(piece)}"', checksum(piece))
            for i, piece in enumerate(self.pieces, start=1)
        )


#: Statement that starts the uploaded program, once; `_E` is then ``nil``, or Lua's error.
START: Final = (
    "if _P then local f,e=load(table.concat(_P)) _P=nil if f then f() end _E=tostring(e) end",
    "_E",
)


@cache
def program() -> LuaProgram:
    """Return the program of this package."""
    text = "\n".join(_code("program.lua")) + "\n"
    build = hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
    return LuaProgram(text=f'cwtm_build="{build}"\n{text}', build=build)


@cache
def bootstrap() -> tuple[str, ...]:
    """Return the lines to send before the program."""
    return tuple(_code("bootstrap.lua"))


def _code(name: str) -> list[str]:
    """Read the lines of a file of this package, without comments and indentation."""
    source = files(__package__).joinpath(name).read_text("ascii")
    kept = (line.strip() for line in source.splitlines())
    return [line for line in kept if line and not line.startswith("--")]


def hello_line(nonce: str) -> str:
    """Return a line that any Lua prompt answers, even before the bootstrap."""
    return f'print("=".."{nonce} {checksum(nonce + "lua")} lua")'


def said(nonce: str, statement: str, expression: str) -> str:
    """Return a line that executes `statement` and replies with `expression`."""
    return f'{statement} _R("{nonce}",{expression})'


def asked(nonce: str, request: str) -> str:
    """Return a line that passes a request to the program."""
    return f'_Q("{nonce}","{checksum(nonce + request)}","{request}")'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
