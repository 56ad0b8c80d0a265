"""`pycwt-mod hw twin`: the ELM11's Lua program in a real Lua, behind a pseudo-terminal."""

from __future__ import annotations

import typer

from cwt_cli.faults import CommandError
from cwt_cli.shell import reported, stop_signal
from cwt_runtime.installation import install_hint

__all__ = ["twin"]


def twin() -> None:
    """Run a semantics twin of the ELM11; the first line printed is the port to open.

    The same Lua, the same prompt, 1 MiB of heap; no board, no timing. Ends with Ctrl-C or SIGTERM.
    What it answers says that it is simulated.
    """
    with reported():
        _twin()


def _twin() -> None:
    try:
        from cwt_cli.twin.terminal import TwinTerminal
    except ImportError as error:
        raise CommandError(
            f"the twin is not installed ({error}): {install_hint('twin')}"
        ) from error
    with stop_signal() as stop, TwinTerminal() as terminal:
        typer.echo(terminal.port)
        typer.echo("a semantics twin of an ELM11: not a board, and not its speed", err=True)
        terminal.serve(stop)
