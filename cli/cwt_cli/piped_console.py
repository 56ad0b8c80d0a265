"""The console on which commands print."""

from __future__ import annotations

from rich.console import Console

__all__ = ["PipedConsole"]


class PipedConsole(Console):
    """A console whose reader may close the pipe, as `head` does.

    rich would exit the process from the task that printed, without cancelling the others. This
    console raises the error instead, and `cwt_cli.shell.reported` handles it.
    """

    def on_broken_pipe(self) -> None:
        """Raise the current error again."""
        self.quiet = True
        raise BrokenPipeError
