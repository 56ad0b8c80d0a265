"""Estimates of coefficients before all samples that affect them have arrived.

The signal is continued by its autoregressive forecast, and the row of the continued signal is its
conditional mean. The model also gives the error of this estimate, and the errors of past estimates,
whose exact values are known by now, calibrate it.
"""

from __future__ import annotations

from pycwt_mod.streaming.provisional.autoregression import Autoregression, fit_autoregression
from pycwt_mod.streaming.provisional.calibration import Calibration
from pycwt_mod.streaming.provisional.estimate import Estimate, Provisional
from pycwt_mod.streaming.provisional.estimator import (
    EstimatedRows,
    Estimator,
    OctaveFit,
    estimate_rows,
    fit_octave,
    octave_fit,
)
from pycwt_mod.streaming.provisional.pair_estimate import PairEstimate
from pycwt_mod.streaming.provisional.pair_estimator import PairEstimator
from pycwt_mod.streaming.provisional.stateless import OctaveState, ProvisionalPlan

__all__ = [
    "Autoregression",
    "Calibration",
    "Estimate",
    "EstimatedRows",
    "Estimator",
    "OctaveFit",
    "OctaveState",
    "PairEstimate",
    "PairEstimator",
    "Provisional",
    "ProvisionalPlan",
    "estimate_rows",
    "fit_autoregression",
    "fit_octave",
    "octave_fit",
]
