"""Which simulator the tests use, and where compiled designs are cached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cwt_gateware.sim.engines import Simulator
from cwt_gateware.sim.shared_library import missing_tools

__all__ = ["FOLDER", "SIMULATOR", "SIMULATORS", "needs_verilator"]

#: The folder that the command uses as well.
FOLDER = Path(__file__).parents[3] / "var" / "gateware"

#: Verilator where it is installed; on CI it must be.
SIMULATOR: Simulator = "verilator" if not missing_tools() or "CI" in os.environ else "amaranth"

#: Both where both are installed, for tests of which one is enough to compare them.
SIMULATORS: tuple[Simulator, ...] = tuple(dict.fromkeys(("amaranth", SIMULATOR)))

needs_verilator = pytest.mark.skipif(SIMULATOR != "verilator", reason="verilator is not installed")
