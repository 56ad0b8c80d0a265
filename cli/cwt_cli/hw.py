"""`pycwt-mod hw`: boards on serial ports, and their simulations."""

from __future__ import annotations

import typer

from cwt_cli.hw_devices import info, list_, selftest, verify
from cwt_cli.hw_sim import sim
from cwt_cli.hw_twin import twin

__all__ = ["hw"]

hw = typer.Typer(
    name="hw",
    no_args_is_help=True,
    help="Use the devices on the serial ports of the hardware bridge.",
)
hw.command(name="list")(list_)
for command in (info, selftest, verify):
    hw.command()(command)
hw.command()(sim)
hw.command()(twin)
