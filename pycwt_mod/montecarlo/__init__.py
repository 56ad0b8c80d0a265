"""Monte Carlo significance: plan, seeded tasks, histograms, levels."""

from __future__ import annotations

from pycwt_mod.montecarlo.levels import MonteCarloLevels
from pycwt_mod.montecarlo.plan import MonteCarloPlan
from pycwt_mod.montecarlo.significance import Cache, Progress, wct_significance

__all__ = ["Cache", "MonteCarloLevels", "MonteCarloPlan", "Progress", "wct_significance"]
