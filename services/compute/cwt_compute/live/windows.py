"""Compute the results of an analysis window, one per channel set, or the event of its drop.

All functions are pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cwt_compute.live.pair_windows import compute_pairs_window, drop_pairs_window
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
from cwt_runtime.bus import StoredMessage
from cwt_schemas import storage, subjects
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.errors import ContractError
from cwt_schemas.live import AnalysisResult, AnalysisWindow, StreamEvent, tile_id
from cwt_schemas.message import clipped
from cwt_schemas.pair_result import LiveResult
from pycwt_mod.streaming import Block, LevelMethod, OctaveLayout, compute_sets, set_levels

__all__ = [
    "Provenance",
    "compute_window",
    "drop_window",
    "dropped_event",
    "floats",
    "set_hashes",
    "stale_event",
]

#: Name for events about windows whose subject contains no stream name.
NAMELESS = "nameless"


def compute_window(window: AnalysisWindow, provenance: Provenance) -> tuple[LiveResult, ...]:
    """Return the results of `window`; equal windows give equal numbers on every worker.

    Raises
    ------
    Unprocessable
        The window does not match its analysis.
    """
    if window.analysis.pairs == "all":
        return compute_pairs_window(window, provenance)
    plan = plan_analysis(window.analysis, window.fs_hz)
    layout = layout_of(plan, window)
    spec, column, samples = window.analysis, window.columns, floats(window.samples)
    sets = [tuple(column[name] for name in names) for names in spec.channel_sets]
    blocks = compute_sets(
        samples,
        sets,
        window_first=window.first_sample,
        tile_first=window.tile.first_sample,
        grid=plan.grid,
        layout=layout,
        op=spec.op,
        quantity=spec.quantity,
        convention=spec.convention,
    )
    levels = set_levels(
        spec.op,
        samples,
        sets,
        grid=plan.grid,
        layout=layout,
        convention=spec.convention,
        level=None if spec.significance is None else spec.significance.level,
    )
    return tuple(_results(window, layout, blocks, levels, NUMPY, provenance))


def drop_window(window: AnalysisWindow, provenance: Provenance) -> tuple[LiveResult, ...]:
    """Return results of `window` that are all zero and masked.

    Raises
    ------
    Unprocessable
        The window does not match its analysis.
    """
    if window.analysis.pairs == "all":
        return drop_pairs_window(window, provenance)
    plan = plan_analysis(window.analysis, window.fs_hz)
    layout = layout_of(plan, window)
    spec = window.analysis
    shape = (layout.voices.stop - layout.voices.start, layout.tile // layout.step)
    real = floats(window.samples).dtype
    complex_ = np.result_type(real, np.complex64)
    block = Block(
        freqs_hz=plan.grid.freqs_hz[layout.voices],
        scales_s=plan.grid.scales_s[layout.voices],
        values=np.zeros(shape, complex_ if spec.quantity == "complex" else real),
        phase=None if spec.op in ("cwt", "mwct") else np.zeros(shape, real),
        mask=np.ones(shape, np.uint8),
    )
    n = len(spec.channel_sets)
    return tuple(_results(window, layout, (block,) * n, [(None, None)] * n, NOTHING, provenance))


def dropped_event(stored: StoredMessage, reason: str, *, now_ns: int) -> StreamEvent:
    """Return the event for a dead-lettered window, of the stream in its subject, if any."""
    try:
        stream = subjects.lane_of_window(stored.message.subject).stream
    except ContractError:
        stream = NAMELESS
    return StreamEvent(
        id=f"{stream}/{storage.WINDOWS}/{stored.seq}/dropped",
        stream=stream,
        kind="dropped",
        detail=clipped(f"a window was dead-lettered, so it has no results: {reason}"),
        t_ns=now_ns,
    )


def stale_event(window: AnalysisWindow, *, age_s: float, now_ns: int) -> StreamEvent:
    """Return the event for a window that was dropped because it was too old."""
    spec, n_sets = window.analysis, window.analysis.n_sets
    return StreamEvent(
        id=f"{window.id}/dropped",
        stream=window.stream,
        epoch=window.epoch,
        kind="dropped",
        first_sample=window.tile.first_sample,
        n_samples=window.tile.n,
        detail=clipped(
            f"octave {window.octave} of {spec.name}, {n_sets} channel sets: its samples were "
            f"{age_s:.3g} s old, more than stale_after_s = {window.stale_after_s:g}; its results "
            "are masked"
        ),
        t_ns=now_ns,
    )


_Level = tuple[NDArray[np.float64] | None, LevelMethod | None]


def _results(
    window: AnalysisWindow,
    layout: OctaveLayout,
    blocks: tuple[Block, ...],
    levels: Sequence[_Level],
    backend: str,
    provenance: Provenance,
) -> Iterator[AnalysisResult]:
    spec, first = window.analysis, window.tile.first_sample
    hashes = set_hashes(spec, window.fs_hz)
    shared = shared_fields(window, layout, backend, provenance)
    for names, spec_hash, block, (signif, method) in zip(
        spec.channel_sets, hashes, blocks, levels, strict=True
    ):
        yield AnalysisResult(
            id=tile_id(
                stream=window.stream,
                epoch=window.epoch,
                analysis=spec.name,
                spec_hash=spec_hash,
                octave=window.octave,
                first_sample=first,
            ),
            channels=names,
            freqs_hz=block.freqs_hz,
            scales_s=block.scales_s,
            values=frozen(block.values),
            phase=None if block.phase is None else frozen(block.phase),
            signif=signif,
            signif_method=method,
            # Most results have no masked values; omitting the mask saves a third of the bytes.
            mask=block.mask.view(np.bool_) if block.mask.any() else None,
            spec_hash=spec_hash,
            **shared,
        )


@lru_cache(maxsize=256)
def set_hashes(spec: AnalysisSpec, fs_hz: float) -> tuple[str, ...]:
    """Return `AnalysisSpec.set_hashes`, cached because all windows of a batch share them."""
    return spec.set_hashes(fs_hz=fs_hz)
