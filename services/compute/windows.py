"""From an analysis window to its results, one per channel set: a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pycwt_mod import __version__
from pycwt_mod.blocks import OctaveLayout, VoiceGrid, block_significance, compute_block
from schemas.errors import Unprocessable
from schemas.ids import tile_id
from schemas.result import AnalysisResult, Engine, InputSpan, TimeAxis
from schemas.stream import ChannelSet, Convention
from schemas.timing import ResultTimes
from schemas.window import AnalysisWindow
from services.runtime.analysis import AnalysisPlan, plan_analysis

__all__ = ["Provenance", "compute_window"]

#: Surrogate pairs behind a live significance level: its standard error is below 0.01.
LEVEL_PAIRS = 300
#: The levels of live results have to be the same whichever worker computes them.
LEVEL_SEED = 0
#: The level hardly depends on the lag-1 coefficients (at most 0.01 from 0 to 0.999): they are
#: rounded, so that levels are shared between windows.
AR1_GRID = 0.1
#: Above this nothing changes any more.
AR1_MAX = 0.9
#: Fewer samples than this say nothing about a lag-1 coefficient.
AR1_MIN_SAMPLES = 16


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Who computed, and when it was done."""

    worker: str
    computed_ns: int


def compute_window(window: AnalysisWindow, provenance: Provenance) -> tuple[AnalysisResult, ...]:
    """Return the results of `window`; the same window gives the same numbers everywhere.

    Raises
    ------
    Unprocessable
        The window does not fit the analysis that it says it belongs to.
    """
    plan = plan_analysis(window.analysis, window.fs_hz)
    layout = _layout(plan, window)
    return tuple(
        _result(window, names, plan.grid, layout, provenance)
        for names in window.analysis.channel_sets
    )


def _result(
    window: AnalysisWindow,
    names: ChannelSet,
    grid: VoiceGrid,
    layout: OctaveLayout,
    provenance: Provenance,
) -> AnalysisResult:
    spec = window.analysis
    columns = [window.columns[name] for name in names]
    samples = window.samples[:, columns]
    block = compute_block(
        samples,
        window_first=window.first_sample,
        tile_first=window.tile.first_sample,
        grid=grid,
        layout=layout,
        op=spec.op,
        quantity=spec.quantity,
        convention=spec.convention,
    )
    signif = None
    if spec.significance is not None:
        signif = _levels(grid, layout, samples, spec.convention, spec.significance.level)
    spec_hash = spec.spec_hash(fs_hz=window.fs_hz, channels=names)
    return AnalysisResult(
        id=tile_id(
            stream=window.stream,
            epoch=window.epoch,
            analysis=spec.name,
            spec_hash=spec_hash,
            octave=window.octave,
            first_sample=window.tile.first_sample,
        ),
        stream=window.stream,
        epoch=window.epoch,
        analysis=spec.name,
        op=spec.op,
        channels=names,
        octave=window.octave,
        freqs_hz=block.freqs_hz,
        scales_s=block.scales_s,
        t=TimeAxis(
            first_sample=window.tile.first_sample, step=layout.step, n=block.values.shape[1]
        ),
        t0_ns=window.t0_ns,
        t0_raw_ns=window.t0_raw_ns,
        values=block.values,
        phase=block.phase,
        signif=signif,
        mask=block.mask.astype(np.bool_),
        input=InputSpan(first_sample=window.first_sample, n_samples=window.n_samples),
        spec_hash=spec_hash,
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
    grid: VoiceGrid,
    layout: OctaveLayout,
    samples: NDArray[np.floating],
    convention: Convention,
    level: float,
) -> NDArray[np.float64]:
    first, second = sorted(_lag1(column) for column in samples.T)
    return _cached_levels(grid, layout, convention, first, second, level)


@lru_cache(maxsize=1024)
def _cached_levels(
    grid: VoiceGrid,
    layout: OctaveLayout,
    convention: Convention,
    al1: float,
    al2: float,
    level: float,
) -> NDArray[np.float64]:
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


def _lag1(samples: NDArray[np.floating]) -> float:
    """Return the lag-1 autocorrelation, on the grid, from 0 to `AR1_MAX`.

    Missing samples and pairs with one are left out. What has no variance counts as white.
    """
    valid = np.isfinite(samples)
    pairs = valid[:-1] & valid[1:]
    if pairs.sum() < AR1_MIN_SAMPLES:
        return 0.0
    x = samples.astype(np.float64) - samples[valid].mean(dtype=np.float64)
    early, late = x[:-1][pairs], x[1:][pairs]
    power = float(np.sqrt(np.mean(early**2) * np.mean(late**2)))
    if power == 0.0:
        return 0.0
    coefficient = float(np.mean(early * late)) / power
    return min(max(round(coefficient / AR1_GRID) * AR1_GRID, 0.0), AR1_MAX)
