"""`pycwt-mod hw twin`: the ELM11's Lua program in a real Lua, behind a pseudo-terminal."""

from __future__ import annotations

import typer

from cwt_cli.faults import CommandError
from cwt_cli.shell import reported, stop_signal
from cwt_runtime.installation import install_hint

__all__ = ["twin"]


def twin() -> None:
    """Run a simulated ELM11; the first line printed is the port to open.

    It has the same Lua, the same prompt and 1 MiB of heap, but not the timing of the board. Stop it
    with Ctrl-C or SIGTERM. Its replies are marked as simulated.
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
        typer.echo("a simulated ELM11: not a board, and not its speed", err=True)
        terminal.serve(stop)
