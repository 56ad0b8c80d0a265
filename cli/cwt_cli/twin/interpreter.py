"""A Lua 5.4 interpreter with the memory of an ELM11; the only module that uses `lupa`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import cast

from lupa import lua54

__all__ = ["HEAP_BYTES", "Interpreter"]

#: Heap size according to the manufacturer; here it includes the interpreter's own tables.
HEAP_BYTES = 1 << 20


class Interpreter:
    """Evaluate typed lines in the environment of the ELM11's prompt.

    Parameters
    ----------
    write
        Called with the output of the Lua code.
    stopped
        Called between instructions; returning True stops the running code.
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
        """Run `source`; return True if it is incomplete and needs more lines."""
        try:
            return self._evaluate(source)
        except lua54.LuaMemoryError:
            return self._evaluate('print("not enough memory")')
