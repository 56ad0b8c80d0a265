"""Compute the results of an analysis window for all pairs of its channels.

A window has one result, or several with some of the pairs each, if one would not fit a message. All
functions are pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cwt_compute.live.result_fields import (
    NOTHING,
    NUMPY,
    Provenance,
    floats,
    frozen,
    layout_of,
    shared_fields,
)
from cwt_runtime.analysis import plan_analysis
from cwt_schemas.live import AnalysisWindow, tile_id
from cwt_schemas.pair_result import PairBand, PairsResult
from pycwt_mod.streaming import (
    LevelMethod,
    OctaveLayout,
    PairsBlock,
    band_means,
    band_rows,
    compute_pairs,
    pair_levels,
)

__all__ = ["compute_pairs_window", "drop_pairs_window"]

Single = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class _Levels:
    """The thresholds of all pairs, (pair, row), and how they were found."""

    signif: NDArray[np.float64]
    method: LevelMethod


def compute_pairs_window(window: AnalysisWindow, provenance: Provenance) -> tuple[PairsResult, ...]:
    """Return the results of a window with all pairs; equal windows give equal numbers.

    Raises
    ------
    Unprocessable
        The window does not match its analysis.
    """
    spec, plan = window.analysis, plan_analysis(window.analysis, window.fs_hz)
    layout = layout_of(plan, window)
    samples = floats(window.samples)[:, [window.columns[name] for name in spec.channels]]
    pairs = _all_pairs(window)
    block = compute_pairs(
        samples,
        pairs.tolist(),
        window_first=window.first_sample,
        tile_first=window.tile.first_sample,
        grid=plan.grid,
        layout=layout,
        convention=spec.convention,
        every=spec.decimate,
        with_phase=spec.phase,
    )
    levels = None
    if spec.significance is not None:
        signif, method = pair_levels(
            samples,
            pairs.tolist(),
            grid=plan.grid,
            layout=layout,
            convention=spec.convention,
            level=spec.significance.level,
        )
        levels = _Levels(signif=signif, method=method)
    return tuple(_parts(window, layout, pairs, block, levels, NUMPY, provenance))


def drop_pairs_window(window: AnalysisWindow, provenance: Provenance) -> tuple[PairsResult, ...]:
    """Return results of a window with all pairs that are all zero and masked.

    Raises
    ------
    Unprocessable
        The window does not match its analysis.
    """
    spec, plan = window.analysis, plan_analysis(window.analysis, window.fs_hz)
    layout, pairs = layout_of(plan, window), _all_pairs(window)
    shape = (layout.voices.stop - layout.voices.start, layout.tile // layout.step // spec.decimate)
    zeros = np.zeros((len(pairs), *shape), np.float32)
    block = PairsBlock(
        pairs=(),
        freqs_hz=plan.grid.freqs_hz[layout.voices],
        scales_s=plan.grid.scales_s[layout.voices],
        values=zeros,
        phase=zeros if spec.phase else None,
        mask=np.ones((len(spec.channels), *shape), np.uint8),
    )
    return tuple(_parts(window, layout, pairs, block, None, NOTHING, provenance))


def _all_pairs(window: AnalysisWindow) -> NDArray[np.int16]:
    """Return all pairs of places among the channels of the analysis, (pair, 2)."""
    return np.stack(np.triu_indices(len(window.analysis.channels), 1), axis=1).astype(np.int16)


def _parts(
    window: AnalysisWindow,
    layout: OctaveLayout,
    pairs: NDArray[np.int16],
    block: PairsBlock,
    levels: _Levels | None,
    backend: str,
    provenance: Provenance,
) -> Iterator[PairsResult]:
    """Yield the results with up to `pairs_per_message` pairs each."""
    spec = window.analysis
    bands: tuple[PairBand, ...] | None = None
    if spec.bands:
        rows = band_rows(block.freqs_hz, spec.bands)
        every = zip(spec.bands, rows, strict=True)
        present = {band: at for band, at in every if at.start < at.stop}
        slices = tuple(present.values())
        bands = tuple(
            PairBand(band_hz=band, n_scales=at.stop - at.start) for band, at in present.items()
        )
        block = band_means(block, slices)
        if levels is not None:
            means = np.stack([levels.signif[:, at].mean(axis=1) for at in slices], axis=1)
            levels = _Levels(signif=means, method=levels.method)
    values = _single(block.values)
    phase = None if block.phase is None else _single(block.phase)
    signif = None if levels is None else _single(levels.signif)
    mask = block.mask.view(np.bool_) if block.mask.any() else None
    shared = shared_fields(window, layout, backend, provenance)
    most = window.pairs_per_message or len(pairs)
    for first in range(0, len(pairs), most):
        part = slice(first, min(first + most, len(pairs)))
        spec_hash = spec.part_hash(
            fs_hz=window.fs_hz, first_pair=first, n_pairs=part.stop - part.start
        )
        yield PairsResult(
            id=tile_id(
                stream=window.stream,
                epoch=window.epoch,
                analysis=spec.name,
                spec_hash=spec_hash,
                octave=window.octave,
                first_sample=window.tile.first_sample,
            ),
            channels=spec.channels,
            pairs=frozen(pairs[part]),
            first_pair=first,
            total_pairs=len(pairs),
            freqs_hz=block.freqs_hz,
            scales_s=block.scales_s,
            bands=bands,
            values=values[part],
            phase=None if phase is None else phase[part],
            signif=None if signif is None else signif[part],
            signif_method=None if levels is None else levels.method,
            mask=mask,
            spec_hash=spec_hash,
            **shared,
        )


def _single(array: NDArray[Any]) -> Single:
    """Return the array as float32, read-only, so that the parts of it are not copied."""
    return frozen(array.astype(np.float32, copy=False))
