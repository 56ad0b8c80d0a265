"""A channel that delivers a constant is an event where that begins, and one where it ends."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cwt_compute.live.flat import MAX_EVENTS, flat_events
from cwt_compute.live.windows import compute_window
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.live import AnalysisWindow, StreamEvent
from cwt_schemas.stream import Channel, StreamDefinition
from tests import pipeline
from tests.unit.compute.test_windows import FS, ME, N, definition, signals


def flat(channel: int, start: int, stop: int, value: float = 2.5) -> NDArray[np.float64]:
    samples = signals()
    samples[start:stop, channel] = value
    return samples


def events(
    spec: StreamDefinition, samples: NDArray[Any], length: int = 333
) -> dict[str, StreamEvent]:
    """Return what the windows of a recording report; the log keeps one event of each id."""
    windows = [
        output
        for output in pipeline.outputs(spec, pipeline.chunks_of(samples, repeat(length)))
        if isinstance(output, AnalysisWindow)
    ]
    return {
        event.id: event
        for window in windows
        for event in flat_events(window, compute_window(window, ME), now_ns=7)
    }


@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
@pytest.mark.parametrize("length", [50, 333, N])
def test_a_flat_stretch_is_one_event_where_it_begins_and_one_where_it_ends(
    op: str, length: int
) -> None:
    changes: dict[str, Any] = {"op": op}
    if op == "cwt":
        changes |= {"channels": ["x", "y"], "pairs": ()}
    if op != "wct":
        changes["quantity"] = "power"
    found = list(events(definition(**changes), flat(1, 1000, 2777), length).values())
    assert [(e.kind, e.channel, e.first_sample, e.n_samples) for e in found] == [
        ("flat", "y", 1000, None),
        ("flat", "y", found[1].first_sample, found[1].n_samples),
    ]
    assert found[1].id == "s/e/flat/y/2777/end"
    assert (found[1].first_sample or 0) + (found[1].n_samples or 0) == 2777
    assert "channel y is flat from sample 1000 on: its samples are 2.5" in found[0].detail
    assert "channel y varies again from sample 2777 on" in found[1].detail


def test_a_channel_that_was_never_connected_is_flat_from_the_first_sample_on() -> None:
    (found,) = events(definition(), flat(0, 0, N, 0.0)).values()
    assert (found.channel, found.first_sample, found.n_samples) == ("x", 0, None)


def test_the_end_of_a_stretch_within_one_window_says_its_length() -> None:
    _, end = events(definition(hop_s=8), flat(0, 1100, 1300)).values()
    assert (end.first_sample, end.n_samples) == (1100, 200)
    assert end.detail.endswith("after 200 samples of 2.5")


def test_two_analyses_report_the_same_events() -> None:
    one, other = definition(), definition(name="b", hop_s=3, fmax_hz=16)
    both = one.model_copy(update={"analyses": one.analyses + other.analyses})
    samples = flat(1, 1000, 2777)
    assert events(both, samples).keys() == events(one, samples).keys()


def test_signals_and_losses_are_not_flat() -> None:
    samples = signals()
    samples[1000:2000] = np.nan
    samples[2500] = samples[2501] = samples[2502]
    assert not events(definition(), samples)


def test_a_lost_sample_does_not_end_a_flat_stretch() -> None:
    samples = flat(1, 1000, 2777)
    samples[1500] = np.nan
    assert len(events(definition(), samples)) == 2


def test_a_failing_amplifier_causes_a_bounded_number_of_events() -> None:
    names = [f"c{k}" for k in range(2 * MAX_EVENTS)]
    fields: dict[str, object] = {
        "name": "a",
        "op": "cwt",
        "channels": names,
        "fmin_hz": 4,
        "fmax_hz": 8,
        "hop_s": 8,
    }
    fields["quantity"] = "power"
    spec = StreamDefinition(
        name="s",
        fs_hz=FS,
        channels=tuple(Channel(name=name) for name in names),
        analyses=(AnalysisSpec.model_validate(fields),),
    )
    samples = np.random.default_rng(1).standard_normal((1500, len(names)))
    samples[700:] = 0
    windows = [
        output
        for output in pipeline.outputs(spec, pipeline.chunks_of(samples, repeat(500)))
        if isinstance(output, AnalysisWindow)
    ]
    each = [flat_events(window, compute_window(window, ME), now_ns=7) for window in windows]
    assert max(map(len, each)) == MAX_EVENTS
    last = max(each, key=len)[-1]
    assert last.detail.endswith(f"; {MAX_EVENTS} more such events of this window are not listed")
