"""Turn the definition of an analysis into wavelets, scales and octaves.

Both sides of the window queue use this module, ingest to cut windows and compute to transform them,
so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cwt_schemas.stream import AnalysisSpec, Convention, Op
from pycwt_mod.streaming import OctaveLayout, VoiceGrid, octave_layouts
from pycwt_mod.wavelets import Wavelet, wavelet_from_name

__all__ = ["AnalysisPlan", "plan_analysis", "wavelet_of"]


@dataclass(frozen=True, kw_only=True)
class AnalysisPlan:
    """The voices of an analysis, and the window layout of each octave."""

    grid: VoiceGrid
    layouts: tuple[OctaveLayout, ...]


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
) -> AnalysisPlan:
    grid = VoiceGrid(
        fs_hz=fs_hz,
        fmin_hz=fmin_hz,
        fmax_hz=fmax_hz,
        voices_per_octave=voices_per_octave,
        wavelet=wavelet_of(wavelet, param),
    )
    layouts = octave_layouts(grid, op=op, hop_s=hop_s, convention=convention)
    return AnalysisPlan(grid=grid, layouts=layouts)


def plan_analysis(spec: AnalysisSpec, fs_hz: float) -> AnalysisPlan:
    """Return the plan of `spec` at the sampling rate `fs_hz`; plans are cached.

    Raises
    ------
    ValueError
        The analysis is not possible; the message names the invalid value.
    """
    return _plan(
        spec.wavelet,
        spec.param,
        fs_hz,
        spec.fmin_hz,
        spec.fmax_hz,
        spec.voices_per_octave,
        spec.op,
        spec.hop_s,
        spec.convention,
    )
