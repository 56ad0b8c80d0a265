"""The threshold of a coherence: its null hypothesis, its options, and where it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from pycwt_mod.arrays import Floats
from pycwt_mod.conditioning import Statistic
from pycwt_mod.cwt_plan import CwtPlan
from pycwt_mod.rednoise import Lag1
from pycwt_mod.results import MwctResult, WctResult
from pycwt_mod.significance.coherence import MonteCarlo, SimulationOptions, wct_significance
from pycwt_mod.smoothing import even_spacing


@dataclass(frozen=True)
class Null:
    """The null hypothesis of a coherence, and how its threshold is found.

    Attributes
    ----------
    lags : tuple of Lag1
        Of the signals.
    axis : (float, float, int)
        `dj`, `s0` and `J` of the ascending scales.
    statistic : {"coherence", "partial", "multiple"}
    level : float
        Significance level.
    options : SimulationOptions
    """

    lags: tuple[Lag1, ...]
    axis: tuple[float, float, int]
    statistic: Statistic
    level: float
    options: SimulationOptions


Result = TypeVar("Result", WctResult, MwctResult)


def with_threshold(
    result: Result, analysis: CwtPlan, null: Null, on_coherence: Callable[[Result], None] | None
) -> Result:
    """Return `result` with its thresholds and the lag-1 coefficients behind them."""
    if on_coherence is not None:
        on_coherence(result)
    dj, s0, J = null.axis

    def thresholds(al1: float, al2: float, *others: float) -> Floats:
        levels = wct_significance(
            al1, al2, analysis.dt, dj, s0, J, null.level, analysis.wavelet,
            convention=analysis.convention, n=analysis.n, others=others, statistic=null.statistic,
            **null.options,
        )  # fmt: skip
        return levels.placed(analysis.axis.places)

    members = list(zip(*(lag.g.ravel().tolist() for lag in null.lags), strict=True))
    batch = result.coherence.shape[:-2]
    levels: Floats
    if batch:
        levels = np.array([thresholds(*lags) for lags in members]).reshape(*batch, -1)
    else:
        levels = thresholds(*members[0])
    return result._replace(signif=levels, lag1=null.lags)


def simulation_options(
    function: str, significance: MonteCarlo | Literal["table"] | None, options: SimulationOptions
) -> SimulationOptions:
    """Return the keywords of `wct_significance` from either form.

    Raises
    ------
    TypeError
        If an option is not one of `SimulationOptions`, or `significance` has another type.
    ValueError
        If both forms are given.
    """
    for name in options:
        if name not in SimulationOptions.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
    if significance is None:
        return options
    if options:
        raise ValueError(_both_forms(options))
    if isinstance(significance, MonteCarlo):
        return {
            "mc_count": significance.count,
            "precision": significance.precision,
            "seed": significance.seed,
            "backend": significance.backend,
            "n_jobs": significance.n_jobs,
            "cache": False if significance.cache is None else significance.cache,
            "progress": False if significance.progress is None else significance.progress,
        }
    advice = "give MonteCarlo(...) or 'table'"
    if not isinstance(significance, str):
        raise TypeError(f"cannot use {significance=}: {advice}")
    if significance != "table":
        raise ValueError(f"cannot use {significance=}: {advice}")
    return {"method": "table"}


def _both_forms(options: SimulationOptions) -> str:
    """Return the message about `options` that are given together with `significance`."""
    names = " and ".join(f"{name}=" for name in options)
    fields = {"mc_count": "count", "rng": "seed"}
    inside = [f"{fields.get(name, name)}=..." for name in options if name != "method"]
    instead = f"MonteCarlo({', '.join(inside)})" if inside else "either MonteCarlo(...) or 'table'"
    return f"cannot use {names} with significance=: give {instead}"


def level_axis(analysis: CwtPlan) -> tuple[float, float, int]:
    """Return `dj`, `s0` and `J` of the ascending scales whose thresholds are simulated."""
    scales = analysis.scales
    dj = even_spacing(scales) if analysis.dj is None else analysis.dj
    if dj is None:
        raise ValueError(
            "cannot compute the threshold: freqs are not a geometric series; give sig=False, or "
            "frequencies such as numpy.geomspace(f1, f2, count)"
        )
    return dj, float(scales.min()), len(scales) - 1
