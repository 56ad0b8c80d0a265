"""Monte Carlo significance: plan, seeded tasks, histograms, levels."""

from __future__ import annotations

from pycwt_mod.montecarlo.levels import MonteCarloLevels
from pycwt_mod.montecarlo.plan import MonteCarloPlan
from pycwt_mod.montecarlo.significance import Cache, wct_significance
from pycwt_mod.montecarlo.simulation import Progress

__all__ = ["Cache", "MonteCarloLevels", "MonteCarloPlan", "Progress", "wct_significance"]
