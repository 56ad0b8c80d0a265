"""From an analysis window to its result: a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pycwt_mod import __version__
from pycwt_mod.blocks import OctaveLayout, VoiceGrid, block_significance, compute_block
from schemas.errors import Unprocessable
from schemas.result import AnalysisResult, Engine, InputSpan, TimeAxis
from schemas.timing import ResultTimes
from schemas.window import AnalysisWindow
from services.runtime.analysis import AnalysisPlan, plan_analysis

__all__ = ["Provenance", "compute_window"]

#: Surrogate pairs behind a live significance level: its standard error is below 0.01.
LEVEL_PAIRS = 300
#: The levels of live results have to be the same whichever worker computes them.
LEVEL_SEED = 0
#: The level hardly depends on the lag-1 coefficients: they are rounded so that levels are shared.
AR1_GRID = 0.1
#: An AR(1) process has to be stationary.
AR1_MAX = 0.9
#: Fewer samples than this say nothing about a lag-1 coefficient.
AR1_MIN_SAMPLES = 16


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Who computed, and when it was done."""

    worker: str
    computed_ns: int


def compute_window(window: AnalysisWindow, provenance: Provenance) -> AnalysisResult:
    """Return the result of `window`; the same window gives the same numbers everywhere.

    Raises
    ------
    Unprocessable
        The window does not fit the analysis that it says it belongs to.
    """
    plan = plan_analysis(window.analysis, window.fs_hz)
    layout = _layout(plan, window)
    spec = window.analysis
    block = compute_block(
        window.samples,
        window_first=window.first_sample,
        tile_first=window.tile.first_sample,
        grid=plan.grid,
        layout=layout,
        op=spec.op,
        quantity=spec.quantity,
        convention=spec.convention,
    )
    signif = None
    if spec.significance is not None:
        signif = _levels(plan.grid, layout, window, spec.significance.level)
    return AnalysisResult(
        id=window.id,
        stream=window.stream,
        epoch=window.epoch,
        analysis=spec.name,
        op=spec.op,
        channels=window.channels,
        octave=window.octave,
        freqs_hz=block.freqs_hz,
        scales_s=block.scales_s,
        t=TimeAxis(
            first_sample=window.tile.first_sample, step=layout.step, n=block.values.shape[1]
        ),
        t0_ns=window.t0_ns,
        values=block.values,
        phase=block.phase,
        signif=signif,
        mask=block.mask,
        input=InputSpan(first_sample=window.first_sample, n_samples=window.n_samples),
        spec_hash=window.spec_hash,
        engine=Engine(
            library="pycwt_mod",
            version=__version__,
            backend="numpy",
            worker=provenance.worker,
        ),
        times_ns=ResultTimes(
            received=window.times_ns.received,
            windowed=window.times_ns.windowed,
            computed=provenance.computed_ns,
        ),
    )


def _layout(plan: AnalysisPlan, window: AnalysisWindow) -> OctaveLayout:
    if window.octave >= len(plan.layouts):
        problem = f"{window.octave}, and the analysis has {len(plan.layouts)} octaves"
        raise Unprocessable.of({"octave": problem})
    layout = plan.layouts[window.octave]
    if window.tile.n != layout.tile:
        problem = f"{window.tile.n} samples, and octave {window.octave} has {layout.tile}"
        raise Unprocessable.of({"tile.n": problem})
    return layout


def _levels(
    grid: VoiceGrid, layout: OctaveLayout, window: AnalysisWindow, level: float
) -> NDArray[np.float64]:
    coefficients = [_lag1(column, layout.step) for column in window.samples.T]
    return _cached_levels(
        grid, layout, window.analysis.convention, tuple(sorted(coefficients)), level
    )


@lru_cache(maxsize=1024)
def _cached_levels(
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: str,
    coefficients: Sequence[float],
    level: float,
) -> NDArray[np.float64]:
    # The library wants the coefficients at the sampling rate; AR(1) taken every `step` samples is
    # AR(1) again, with the power of the coefficient.
    al1, al2 = (coefficient ** (1 / layout.step) for coefficient in coefficients)
    levels = block_significance(
        grid=grid,
        layout=layout,
        convention=convention,
        al1=al1,
        al2=al2,
        level=level,
        mc_count=LEVEL_PAIRS,
        seed=LEVEL_SEED,
    )
    levels.flags.writeable = False
    return levels


def _lag1(samples: NDArray[np.floating], step: int) -> float:
    """Return the lag-1 autocorrelation at the octave's step, on the grid, from 0 to `AR1_MAX`.

    Missing samples and pairs with one are left out. What has no variance counts as white.
    """
    x = samples[::step].astype(np.float64)
    x = x - np.nanmean(x) if np.isfinite(x).any() else x
    valid = np.isfinite(x[:-1]) & np.isfinite(x[1:])
    if valid.sum() < AR1_MIN_SAMPLES:
        return 0.0
    early, late = x[:-1][valid], x[1:][valid]
    power = float(np.sqrt(np.mean(early**2) * np.mean(late**2)))
    if power == 0.0:
        return 0.0
    coefficient = float(np.mean(early * late)) / power
    return min(max(round(coefficient / AR1_GRID) * AR1_GRID, 0.0), AR1_MAX)
