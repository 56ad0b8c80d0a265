"""Where commands print."""

from __future__ import annotations

from rich.console import Console

__all__ = ["PipedConsole"]


class PipedConsole(Console):
    """A console whose reader may leave, as `head` does.

    rich would end the process from within whichever task printed, and the others could not be
    cancelled in order; this leaves it to `cwt_cli.shell.reported`.
    """

    def on_broken_pipe(self) -> None:
        """Let the error go on."""
        self.quiet = True
        raise BrokenPipeError
