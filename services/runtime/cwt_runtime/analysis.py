"""Turn the definition of an analysis into wavelets, scales and octaves.

Both sides of the window queue use this module, ingest to cut windows and compute to transform them,
so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cwt_schemas.analysis import AnalysisSpec, Convention, Op
from pycwt_mod.significance.degrees import check_degrees_of_freedom
from pycwt_mod.streaming import (
    STATISTICS,
    OctaveLayout,
    Provisional,
    ProvisionalPlan,
    VoiceGrid,
    band_rows,
    octave_layouts,
)
from pycwt_mod.wavelets import Wavelet, wavelet_from_name, with_deltaj0

__all__ = ["AnalysisPlan", "plan_analysis", "plan_provisional", "wavelet_of"]


@dataclass(frozen=True, kw_only=True)
class AnalysisPlan:
    """The voices of an analysis, and the window layout of each octave."""

    grid: VoiceGrid
    layouts: tuple[OctaveLayout, ...]

    def shape(self, spec: AnalysisSpec, octave: int) -> tuple[int, int]:
        """Return the numbers of rows and columns of a result of `spec`.

        There are no rows if the analysis has bands, and none of them is in the octave.
        """
        layout = self.layouts[octave]
        freqs_hz = self.grid.freqs_hz[layout.voices]
        columns = layout.tile // layout.step // spec.decimate
        if not spec.bands:
            return len(freqs_hz), columns
        return sum(at.start < at.stop for at in band_rows(freqs_hz, spec.bands)), columns


def wavelet_of(name: str, param: float) -> Wavelet:
    """Return the named wavelet; `param` -1 selects its usual order or central frequency."""
    return wavelet_from_name(name, None if param == -1 else param)


@lru_cache(maxsize=256)
def _plan(
    wavelet: str,
    param: float,
    fs_hz: float,
    fmin_hz: float,
    fmax_hz: float,
    voices_per_octave: int,
    op: Op,
    hop_s: float,
    convention: Convention,
    deltaj0: float | None,
    channels: int,
    every: int,
) -> AnalysisPlan:
    grid = VoiceGrid(
        fs_hz=fs_hz,
        fmin_hz=fmin_hz,
        fmax_hz=fmax_hz,
        voices_per_octave=voices_per_octave,
        wavelet=with_deltaj0(wavelet_of(wavelet, param), deltaj0),
    )
    if op in STATISTICS:
        spacing = 1 / voices_per_octave
        check_degrees_of_freedom(grid.wavelet, spacing, convention, STATISTICS[op], channels)
    layouts = octave_layouts(grid, op=op, hop_s=hop_s, convention=convention, every=every)
    return AnalysisPlan(grid=grid, layouts=layouts)


def plan_analysis(spec: AnalysisSpec, fs_hz: float) -> AnalysisPlan:
    """Return the plan of `spec` at the sampling rate `fs_hz`; plans are cached.

    Raises
    ------
    ValueError
        The analysis is not possible; the message names the invalid value.
    """
    plan = _plan(
        spec.wavelet,
        spec.param,
        fs_hz,
        spec.fmin_hz,
        spec.fmax_hz,
        spec.voices_per_octave,
        spec.op,
        spec.hop_s,
        spec.convention,
        spec.deltaj0,
        len(spec.channel_sets[0]) if spec.op in STATISTICS else 0,
        spec.decimate,
    )
    for band, rows in zip(spec.bands, band_rows(plan.grid.freqs_hz, spec.bands), strict=True):
        if rows.start == rows.stop:
            low, high = band
            raise ValueError(
                f"band [{low:g}, {high:g}] Hz contains none of the {plan.grid.n_voices} "
                "frequencies of the analysis; widen it, or raise voices_per_octave"
            )
    return plan


@lru_cache(maxsize=256)
def plan_provisional(spec: AnalysisSpec, fs_hz: float) -> ProvisionalPlan | None:
    """Return the plan of the estimates of `spec`, or None if it has none; plans are cached.

    Raises
    ------
    ValueError
        The estimates are not possible; the message names the invalid value.
    """
    if spec.provisional is None:
        return None
    options = Provisional(max_error=spec.provisional.max_error, delay_s=spec.provisional.delay_s)
    return ProvisionalPlan(grid=plan_analysis(spec, fs_hz).grid, options=options)
