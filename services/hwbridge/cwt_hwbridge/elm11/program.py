"""What is sent to an ELM11 so that it becomes a device of this project, and in which words.

One line of its prompt holds one statement, and what is local to it dies with it. So first come the
lines of ``bootstrap.lua``, then the program in pieces that are joined and loaded.
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

#: Characters of a line that is sent. How long one may be is nowhere documented; two hundred and a
#: few are what a person might type.
MAX_SENT = 240

#: Characters of the program in one piece, before those that need a backslash are counted.
_PIECE = 160


@dataclass(frozen=True, kw_only=True)
class LuaProgram:
    """The program as it is sent; `build` names it, and is what the device answers."""

    text: str
    build: str

    @property
    def pieces(self) -> tuple[str, ...]:
        """Return the text in pieces, each short enough for a line."""
        return tuple(self.text[at : at + _PIECE] for at in range(0, len(self.text), _PIECE))

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return statements that send the pieces, each with what it has to answer."""
        return tuple(
            (f'_P[{i}]="{_quoted(piece)}"', checksum(piece))
            for i, piece in enumerate(self.pieces, start=1)
        )


#: Starts the program that was sent, once; `_E` is then ``nil``, or Lua's complaint.
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
    """Return the lines that come before the program."""
    return tuple(_code("bootstrap.lua"))


def _code(name: str) -> list[str]:
    """Return the lines of a file of this package, without comments and indentation."""
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
    """Return a line that hands a request to the program."""
    return f'_Q("{nonce}","{checksum(nonce + request)}","{request}")'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
