"""A terminal's view of all pairs, by what it was fed."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from rich.console import Console

from cwt_cli.faults import CommandError
from cwt_cli.live_table import LiveTable
from cwt_cli.live_view import subjects_of
from cwt_cli.pairs_view import PairsView
from cwt_cli.watch import chosen
from cwt_compute.live.windows import Provenance, compute_window
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.live import AnalysisWindow
from cwt_schemas.pair_result import PairsResult
from cwt_schemas.stream import Channel, StreamDefinition
from tests import pipeline

NAMES = ("c3", "c4", "pz", "oz")
FS, N = 40.0, 800
RATE = re.compile(r"[\d.]+ results/s")
ME = Provenance(worker="me", computed_ns=5)


def definition(**changes: object) -> StreamDefinition:
    fields: dict[str, object] = {
        "name": "network", "op": "wct", "pairs": "all", "fmin_hz": 2, "fmax_hz": 8, "hop_s": 1,
        "quantity": "coherence", "significance": {"level": 0.95}, **changes,
    }  # fmt: skip
    return StreamDefinition(
        name="s",
        fs_hz=FS,
        channels=tuple(Channel(name=name) for name in NAMES),
        analyses=(AnalysisSpec.model_validate(fields),),
    )


@cache
def windows(stream: StreamDefinition) -> tuple[AnalysisWindow, ...]:
    """Return the windows of noise in which c4 and oz are nearly the same."""
    x = np.random.default_rng(0).standard_normal((N, 4))
    x[:, 3] = x[:, 1] + 0.1 * x[:, 3]
    outputs = pipeline.outputs(stream, pipeline.chunks_of(x, [N]))
    return tuple(output for output in outputs if isinstance(output, AnalysisWindow))


def fed(stream: StreamDefinition, pairs_per_message: int = 6) -> PairsView:
    view = PairsView(subjects_of(stream)[0], LiveTable())
    for window in windows(stream):
        divided = window.model_copy(update={"pairs_per_message": pairs_per_message})
        for result in compute_window(divided, ME):
            assert isinstance(result, PairsResult)
            view.feed(result)
    return view


def text_of(view: PairsView, width: int = 80, height: int = 24) -> str:
    console = Console(width=width, height=height, force_terminal=False)
    with console.capture() as captured:
        console.print(view.render(width, height, 2.0, colour=False))
    return captured.get()


def test_each_octave_has_the_pairs_of_the_largest_coherence_and_a_matrix() -> None:
    text = text_of(fed(definition()))
    assert "s  coherence of 6 pairs" in text
    lines = [line for line in text.splitlines() if "c4-oz" in line]
    assert len(lines) == 3
    assert all(re.search(r"% +c4-oz (0\.9|1\.0)", line) for line in lines)
    (row,) = [line for line in text.splitlines() if line.startswith("oz ")]
    assert row[8:].startswith(row[8:10] + "@@")
    assert row.rstrip().endswith("\\\\")


def test_bands_are_named_and_parts_of_a_result_are_put_together() -> None:
    stream = definition(bands=[[4, 8], [2, 3]])
    text = text_of(fed(stream))
    assert "4 - 8" in text
    assert "2 - 3" in text
    parts = text_of(fed(stream, pairs_per_message=4))
    assert RATE.sub("", parts) == RATE.sub("", text)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (200, 60), (20, 8)])
@pytest.mark.parametrize("results", [False, True])
def test_the_view_fits_the_terminal(width: int, height: int, results: bool) -> None:
    stream = definition()
    view = fed(stream) if results else PairsView(subjects_of(stream)[0], LiveTable())
    lines = text_of(view, width, height).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_table_has_a_line_for_each_octave_with_the_pair_of_the_peak() -> None:
    table = LiveTable()
    for window in windows(definition()):
        for result in compute_window(window.model_copy(update={"pairs_per_message": 2}), ME):
            table.feed_result(result, 10.0)
    (line,) = table.lines(10.0)
    assert "s network 6 pairs" in line
    assert re.search(r"coherence of c4 with oz (0\.9|1\.0)", line)


def test_one_pair_of_all_can_be_chosen() -> None:
    subjects = subjects_of(definition())
    assert [each.is_of_all_pairs for each in subjects] == [True]
    first, second = chosen(subjects, "network", "oz,c4")
    assert first.channels == ("c4", "oz")
    assert second.is_of_all_pairs
    with pytest.raises(CommandError, match="no analysis of c4,c4"):
        chosen(subjects, None, "c4,c4")
