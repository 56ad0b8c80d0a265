"""Select the simulator."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal, NamedTuple

import amaranth

from cwt_gateware.sim.design import Level, simulated_device, simulated_identity
from cwt_gateware.sim.engine import Engine, EngineError
from cwt_gateware.sim.interpreted import Interpreted
from cwt_gateware.sim.shared_library import missing_tools
from cwt_gateware.sim.verilated import Verilated, compiled

__all__ = ["Chosen", "Simulator", "chosen_engine"]

Simulator = Literal["auto", "verilator", "amaranth"]


class Chosen(NamedTuple):
    """An engine, and its name."""

    engine: Engine
    simulator: str
    level: Level


def chosen_engine(
    level: Level, simulator: Simulator, folder: Path, entropy: int | None = None
) -> Chosen:
    """Return a device after power-up.

    `auto` selects Verilator if it is installed, else Amaranth's simulator (about 700 bytes per
    second). Bits of a serial line need Verilator. `folder` caches compiled designs.

    Raises
    ------
    EngineError
        The requested simulator is not installed, or fails.
    """
    if entropy is None:
        entropy = secrets.randbits(32)
    if simulator == "verilator" or (simulator == "auto" and not missing_tools()):
        return Chosen(Verilated(compiled(level, folder), entropy), "verilator", level)
    if level == "serial":
        raise EngineError(
            "a serial line is simulated by Verilator alone: install verilator and g++"
        )
    identity = simulated_identity(level, "amaranth-sim", amaranth.__version__)
    return Chosen(Interpreted(simulated_device(level, identity), entropy), "amaranth", level)
