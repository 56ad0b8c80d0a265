"""Events for channels that depend on each other: copies, and singular matrices.

The coherence of a channel with its copy is 1, which says nothing about the sources of the signals.
Partial and multiple coherence of channels that are copies or sums of each other have no value: the
library masks them. A worker keeps no state between windows, so the id of an event does not contain
a position: the log stores the event once in its duplicate window, ten minutes, while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cwt_compute.live.result_fields import floats, layout_of
from cwt_runtime.analysis import plan_analysis
from cwt_schemas.analysis import COHERENCES
from cwt_schemas.live import AnalysisWindow, EventKind, StreamEvent
from cwt_schemas.message import clipped
from cwt_schemas.pair_result import LiveResult
from pycwt_mod.conditioning import SINGULAR
from pycwt_mod.streaming import flat_stretches, support_radii

__all__ = ["dependence_events"]


def dependence_events(
    window: AnalysisWindow, results: Sequence[LiveResult], *, now_ns: int
) -> tuple[StreamEvent, ...]:
    """Return the events of channels of `window` that depend on each other.

    Only windows without missing samples report them: in others, a mask has other reasons.
    """
    spec = window.analysis
    if spec.op not in COHERENCES or not np.isfinite(floats(window.samples)).all():
        return ()
    if spec.op != "wct":
        return tuple(_singular_events(window, results, now_ns))
    # The highest octave has the most windows, so that it detects a copy first.
    return () if window.octave else tuple(_copy_events(window, now_ns))


def _copy_events(window: AnalysisWindow, now_ns: int) -> Iterator[StreamEvent]:
    """Yield an event for each channel that is a multiple of an earlier one, but for a constant.

    Differences of samples are compared, because a common drift would hide what channels do not have
    in common.
    """
    steps = np.diff(floats(window.samples).astype(np.float64), axis=0)
    largest = np.abs(steps).max(axis=0, initial=0)
    varying = np.flatnonzero((largest > 0) & np.isfinite(largest))
    if len(varying) < 2:
        return
    unit = steps[:, varying] / largest[varying]
    unit /= np.linalg.norm(unit, axis=0)
    alike = np.triu(1 - (unit.T @ unit) ** 2 < SINGULAR, 1)
    for second in np.flatnonzero(alike.any(axis=0)):
        first = int(np.argmax(alike[:, second]))
        one, other = (window.channels[varying[place]] for place in (first, second))
        detail = (
            f"channel {other} is a copy of {one}, but for a factor and a constant, in the samples "
            f"from {window.first_sample} on: their coherence is 1"
        )
        yield _event(window, "copy", f"{one}/{other}", detail, now_ns)


def _singular_events(
    window: AnalysisWindow, results: Sequence[LiveResult], now_ns: int
) -> Iterator[StreamEvent]:
    """Yield an event for each channel set with masked values that nothing else explains."""
    spec, plan = window.analysis, plan_analysis(window.analysis, window.fs_hz)
    layout = layout_of(plan, window)
    if window.n_samples < layout.tile + 2 * layout.margin:
        return  # next to an edge
    radius = int(support_radii(plan.grid, layout, spec.op, spec.convention).min())
    flat = flat_stretches(floats(window.samples).T, 2 * radius + 1)
    for result in results:
        if result.mask is None:
            continue
        columns = [window.columns[name] for name in result.channels]
        if flat is not None and any(len(flat.each[column]) for column in columns):
            continue
        part = 100 * float(np.mean(result.mask))
        detail = (
            f"{spec.name} of {', '.join(result.channels)}: the channels are copies or sums of each "
            f"other, so {part:.3g} % of the values from {result.freqs_hz.min():.3g} to "
            f"{result.freqs_hz.max():.3g} Hz, from sample {result.t.first_sample} on, are masked"
        )
        yield _event(window, "singular", f"{spec.name}/{result.spec_hash}", detail, now_ns)


def _event(
    window: AnalysisWindow, kind: EventKind, about: str, detail: str, now_ns: int
) -> StreamEvent:
    return StreamEvent(
        id=f"{window.stream}/{window.epoch}/{kind}/{about}",
        stream=window.stream,
        epoch=window.epoch,
        kind=kind,
        first_sample=window.tile.first_sample,
        n_samples=window.tile.n,
        detail=clipped(detail),
        t_ns=now_ns,
    )
