"""A Lua 5.4 of its own, with as much memory as an ELM11 has; the one owner of `lupa`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import cast

from lupa import lua54

__all__ = ["HEAP_BYTES", "Interpreter"]

#: The heap that the maker states. Here the interpreter's own tables come out of it too.
HEAP_BYTES = 1 << 20


class Interpreter:
    """Evaluates typed lines in the world that the prompt of an ELM11 offers.

    Parameters
    ----------
    write
        Takes what the Lua code prints.
    stopped
        Called between instructions; True ends what runs.
    """

    def __init__(self, write: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        lua = lua54.LuaRuntime(
            max_memory=HEAP_BYTES,
            encoding="latin-1",
            register_eval=False,
            register_builtins=False,
        )
        prelude = files(__package__).joinpath("prelude.lua").read_text("ascii")
        version = ".".join(map(str, lua.lua_version))
        self._evaluate = cast(
            "Callable[[str], bool]", lua.execute(prelude, write, stopped, version, name="@prelude")
        )

    def evaluate(self, source: str) -> bool:
        """Run `source`; True when it is not finished and more lines are wanted."""
        try:
            return self._evaluate(source)
        except lua54.LuaMemoryError:
            return self._evaluate('print("not enough memory")')
