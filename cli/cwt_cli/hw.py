"""`pycwt-mod hw`: boards on serial ports, and their simulations."""

from __future__ import annotations

import typer

from cwt_cli.help_examples import examples
from cwt_cli.hw_devices import info, list_, selftest, verify
from cwt_cli.hw_sim import sim
from cwt_cli.hw_twin import twin

__all__ = ["hw"]

hw = typer.Typer(
    name="hw",
    no_args_is_help=True,
    help="List and test FPGA boards and other devices on serial ports, or simulate them.",
)
hw.command(name="list")(list_)
hw.command()(info)
hw.command(epilog=examples("hw selftest"))(selftest)
hw.command(epilog=examples("hw verify"))(verify)
hw.command()(sim)
hw.command()(twin)
