"""`pycwt-mod hw sim`: this project's gateware in a simulator, behind a pseudo-terminal."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cwt_cli.faults import USAGE, CommandError
from cwt_cli.shell import reported, stop_signal
from cwt_runtime.installation import install_hint

__all__ = ["sim"]


class SimulatorChoice(StrEnum):
    """The simulator."""

    AUTO = "auto"
    VERILATOR = "verilator"
    AMARANTH = "amaranth"


def sim(
    serial: Annotated[
        bool,
        typer.Option("--serial", help="Simulate the bits of the serial line too (needs Verilator)"),
    ] = False,
    simulator: Annotated[
        SimulatorChoice, typer.Option(help="Simulator (auto: Verilator if it is installed)")
    ] = SimulatorChoice.AUTO,
    folder: Annotated[Path, typer.Option(help="Folder for compiled designs")] = Path(
        "var/gateware"
    ),
) -> None:
    """Run the gateware in a simulator; the first line printed is the port to open.

    Stop it with Ctrl-C or SIGTERM. Its replies are marked as simulated.
    """
    with reported():
        _sim(serial, simulator, folder)


def _sim(serial: bool, choice: SimulatorChoice, folder: Path) -> None:
    try:
        from cwt_gateware.sim.engine import EngineError
        from cwt_gateware.sim.engines import chosen_engine
        from cwt_gateware.sim.terminal import opened_terminal, serve
    except ImportError as error:
        raise CommandError(
            f"the simulator is not installed ({error}): {install_hint('sim')}"
        ) from error
    try:
        made = chosen_engine("serial" if serial else "bytes", choice.value, folder)
    except EngineError as error:
        raise CommandError(str(error), USAGE) from error
    with stop_signal() as stop, opened_terminal() as terminal, closing(made.engine):
        typer.echo(terminal.path)
        typer.echo(f"simulated by {made.simulator}, at the level of {made.level}", err=True)
        serve(made.engine, terminal.ours, stop)
