"""Levels that red noise exceeds by chance: from distributions, simulated, and looked up."""

from __future__ import annotations

from pycwt_mod.significance.chi_square import Significance, significance
from pycwt_mod.significance.coherence import (
    Cache,
    MonteCarlo,
    SimulationOptions,
    wct_significance,
)
from pycwt_mod.significance.octave import block_level, block_significance
from pycwt_mod.significance.simulation import Method, MonteCarloLevels, MonteCarloPlan, Progress
from pycwt_mod.significance.table import NotTabulated

__all__ = [
    "Cache",
    "Method",
    "MonteCarlo",
    "MonteCarloLevels",
    "MonteCarloPlan",
    "NotTabulated",
    "Progress",
    "Significance",
    "SimulationOptions",
    "block_level",
    "block_significance",
    "significance",
    "wct_significance",
]
