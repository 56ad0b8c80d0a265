"""Channels that are copies or sums of each other are reported."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cwt_compute.live.dependent import dependence_events
from cwt_compute.live.windows import compute_window
from cwt_schemas.live import AnalysisWindow, StreamEvent
from tests import pipeline
from tests.unit.compute.test_windows import ME, N, definition

NAMES = "wxyz"


def signals() -> NDArray[np.float64]:
    noise = np.random.default_rng(3).standard_normal((N, len(NAMES)))
    noise[:, 0] += 1e4 * np.linspace(0, 1, N)  # a drift
    noise[:, 1] += 1e4 * np.linspace(0, 1, N)
    return noise


def events(samples: NDArray[Any], **changes: object) -> dict[str, StreamEvent]:
    """Return what the windows of a recording report; the log keeps one event of each id."""
    found: dict[str, StreamEvent] = {}
    for output in pipeline.outputs(
        definition(NAMES, **changes), pipeline.chunks_of(samples, repeat(333))
    ):
        if isinstance(output, AnalysisWindow):
            results = compute_window(output, ME)
            for event in dependence_events(output, results, now_ns=7):
                found.setdefault(event.id, event)
    return found


@pytest.mark.parametrize("pairs", ["all", [["w", "x"], ["y", "z"], ["x", "z"], ["w", "z"]]])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_a_copy_is_one_event_with_both_names(pairs: object, dtype: str) -> None:
    samples = signals()
    samples[:, 3] = 20 - 0.1 * samples[:, 1]
    (event,) = events(samples.astype(dtype), pairs=pairs).values()
    assert (event.kind, event.id) == ("copy", "s/e/copy/x/z")
    assert "channel z is a copy of x" in event.detail


def test_channels_with_little_of_their_own_are_no_copies() -> None:
    samples = signals()
    samples[:, 3] = samples[:, 1] + 0.01 * samples[:, 3]
    assert events(samples, pairs="all") == {}


def test_flat_and_missing_channels_are_no_copies_of_each_other() -> None:
    samples = signals()
    samples[:, 0] = samples[:, 1] = 2.5
    samples[:, 2] = samples[:, 3]
    samples[1000:, 2] = np.nan
    assert events(samples, pairs="all").keys() == {"s/e/copy/y/z"}


@pytest.mark.parametrize("op", ["pwct", "mwct"])
def test_channels_that_leave_nothing_of_another_are_one_event_for_their_set(op: str) -> None:
    samples = signals()
    if op == "pwct":
        sets: dict[str, object] = {"pairs": [["x", "y"], ["w", "x"]], "given": ["z"]}
        samples[:, 3] = -samples[:, 2]
    else:
        sets = {"pairs": [], "target": "x", "given": ["y", "z"]}
        samples[:, 3] = samples[:, 1] + samples[:, 2]
    (event,) = events(samples, op=op, **sets).values()
    assert event.kind == "singular"
    assert "a of x, y, z: the channels are copies or sums of each other" in event.detail
    assert "100 % of the values" in event.detail
    samples[:, 3] += 0.1 * signals()[::-1, 3]
    samples[2000:2100, 0] = 0
    assert events(samples, op=op, **sets) == {}


@pytest.mark.parametrize("op", ["cwt", "xwt"])
def test_other_analyses_report_nothing(op: str) -> None:
    samples = signals()
    samples[:, 3] = samples[:, 1]
    sets = {"channels": ["x", "z"], "pairs": []} if op == "cwt" else {"pairs": [["x", "z"]]}
    assert events(samples, op=op, quantity="power", **sets) == {}
