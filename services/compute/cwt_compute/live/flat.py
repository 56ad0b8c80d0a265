"""Events for constant (flat) channels: one at the beginning of a stretch and one at its end.

A worker keeps no state between windows. Only windows of the highest octave report stretches: the
window whose tile has the first value that depends only on the constant reports the beginning, and
the window with the last such value reports the end. The id of an event contains stream, channel and
sample, so all analyses that detect it publish the same event, and the log stores it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cwt_compute.live.result_fields import floats
from cwt_runtime.analysis import plan_analysis
from cwt_schemas.live import AnalysisWindow, StreamEvent
from cwt_schemas.message import clipped
from cwt_schemas.pair_result import LiveResult
from pycwt_mod.streaming import flat_stretches, support_radii

__all__ = ["MAX_EVENTS", "flat_events"]

#: Maximum number of events of one window. The highest octave has one window per `hop_s`, so this
#: limits the rate when all channels of a large amplifier fail simultaneously or repeatedly.
MAX_EVENTS = 64


def flat_events(
    window: AnalysisWindow, results: Sequence[LiveResult], *, now_ns: int
) -> tuple[StreamEvent, ...]:
    """Return the beginnings and ends of flat stretches that `window` reports, in sample order.

    A stretch is reported only if a value of the highest octave depends only on it. Such a value is
    masked in `results`, so windows without a mask have no events. If there are more than
    `MAX_EVENTS`, the last event states the number of omitted ones.
    """
    if window.octave or all(result.mask is None for result in results):
        return ()
    spec, plan = window.analysis, plan_analysis(window.analysis, window.fs_hz)
    radius = int(support_radii(plan.grid, plan.layouts[0], spec.op, spec.convention).min())
    samples = floats(window.samples)
    flat = flat_stretches(samples.T, 2 * radius + 1)
    if flat is None:
        return ()
    events = [
        event
        for name, column, stretches in zip(window.channels, samples.T, flat.each, strict=True)
        for start, stop in _merged(stretches)
        for event in _events(window, name, column, start, stop, radius, now_ns)
    ]
    events.sort(key=lambda event: (event.first_sample or 0, event.id))
    if (more := len(events) - MAX_EVENTS) > 0:
        last = events[MAX_EVENTS - 1]
        detail = clipped(f"{last.detail}; {more} more such events of this window are not listed")
        events[MAX_EVENTS - 1 :] = [last.model_copy(update={"detail": detail})]
    return tuple(events)


def _events(
    window: AnalysisWindow,
    channel: str,
    column: NDArray[np.floating[Any]],
    start: int,
    stop: int,
    radius: int,
    now_ns: int,
) -> Iterator[StreamEvent]:
    """Yield the events that this window reports for one stretch of a channel."""
    tile = range(window.tile.first_sample, window.tile.first_sample + window.tile.n)
    # A missing sample at the start may have had any value.
    begins = start + int(np.argmax(np.isfinite(column[start:stop])))
    value = f"{column[begins]:g}"
    at, after = window.first_sample + begins, window.first_sample + stop
    from_here = start > 0 or window.first_sample > tile.start - radius
    if from_here and at + radius in tile:
        detail = (
            f"channel {channel} is flat from sample {at} on: its samples are {value}; "
            "results that depend only on them are masked"
        )
        yield _event(window, channel, "begin", at, None, detail, now_ns)
    if stop < len(column) and after - 1 - radius in tile:
        length = f"{'' if from_here else 'at least '}{after - at} samples of {value}"
        detail = f"channel {channel} varies again from sample {after} on, after {length}"
        yield _event(window, channel, "end", at, after - at, detail, now_ns)


def _event(
    window: AnalysisWindow,
    channel: str,
    edge: Literal["begin", "end"],
    first_sample: int,
    n_samples: int | None,
    detail: str,
    now_ns: int,
) -> StreamEvent:
    at = first_sample if n_samples is None else first_sample + n_samples
    return StreamEvent(
        id=f"{window.stream}/{window.epoch}/flat/{channel}/{at}/{edge}",
        stream=window.stream,
        epoch=window.epoch,
        kind="flat",
        channel=channel,
        first_sample=first_sample,
        n_samples=n_samples,
        detail=clipped(detail),
        t_ns=now_ns,
    )


def _merged(stretches: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the stretches, with overlapping ones merged."""
    start = stop = 0
    for low, high in stretches.tolist():
        if low >= stop:
            if stop:
                yield start, stop
            start = low
        stop = high
    if stop:
        yield start, stop
