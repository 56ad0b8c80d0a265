"""The view of one analysis in a terminal."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from cwt_cli.faults import CommandError
from cwt_cli.live_table import LiveTable
from cwt_cli.live_view import LiveView, Subject, span_of, subjects_of
from cwt_cli.watch import chosen
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.live import StreamEvent
from cwt_schemas.stream import Channel, StreamDefinition, StreamStatus
from tests.unit.client.blocks import block

COHERENCE = AnalysisSpec(
    name="a", op="wct", pairs=(("x", "y"), ("y", "z")), fmin_hz=2, fmax_hz=8, hop_s=1,
    quantity="coherence", significance={"level": 0.95},  # type: ignore[arg-type]
)  # fmt: skip
POWER = AnalysisSpec(
    name="p", op="cwt", channels=("x",), fmin_hz=0.1, fmax_hz=8, hop_s=1, quantity="power"
)
DEFINITION = StreamDefinition(
    name="s", fs_hz=40.0, channels=tuple(Channel(name=name) for name in "xyz"),
    analyses=(COHERENCE, POWER),
)  # fmt: skip


def viewed(table: LiveTable | None = None) -> LiveView:
    return LiveView(subjects_of(DEFINITION)[0], 10.0, table or LiveTable())


def lines_of(
    view: LiveView, width: int = 80, height: int = 24, *, colour: bool = True
) -> list[str]:
    console = Console(width=width, height=height, force_terminal=False)
    with console.capture() as captured:
        console.print(view.render(width, height, 2.0, colour=colour))
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (200, 60), (20, 8)])
@pytest.mark.parametrize("results", [0, 12])
def test_the_view_fits_the_terminal_whatever_its_size(
    width: int, height: int, results: int
) -> None:
    table = LiveTable()
    table.feed_status(StreamStatus(definition=DEFINITION, chunks=5), 0.0)
    for number in range(9):
        table.feed_event(StreamEvent(id=f"{number}", stream="s", kind="gap", detail="d", t_ns=1))
    view = viewed(table)
    for at in range(results):
        view.feed(block(0, 4 * at, fs_hz=40.0))
    lines = lines_of(view, width, height)
    assert len(lines) <= max(height, 10)
    assert max(map(len, lines)) <= width
    if height >= 24:
        assert len(lines) == height


def test_the_view_names_what_it_shows_its_level_its_rates_and_its_events() -> None:
    table = LiveTable()
    table.feed_status(StreamStatus(definition=DEFINITION, chunks=5), 0.0)
    table.feed_event(StreamEvent(id="1", stream="s", kind="gap", detail="lost", t_ns=1))
    view = viewed(table)
    for at in range(3):
        view.feed(block(0, 4 * at, value=0.9))
    text = "\n".join(lines_of(view))
    title, level, rates, event = (
        subjects_of(DEFINITION)[0].title, "95 %", "0.0 chunks/s, 0.0 windows/s", "s gap lost",
    )  # fmt: skip
    for fact in (title, "epoch e", level, rates, "250 ms", event, "0.3 s"):
        assert fact in text


def test_results_of_other_channels_are_counted_and_not_shown() -> None:
    view = viewed()
    view.feed(block(0, 0).model_copy(update={"channels": ("y", "z")}))
    assert any("waiting" in line for line in lines_of(view))


def test_without_colours_the_level_is_named_by_its_shade() -> None:
    view = viewed()
    view.feed(block(0, 0))
    assert any(re.search(r"dark.*95 %.*/", line) for line in lines_of(view, colour=False))


def test_all_there_is_to_look_at_is_listed_and_one_is_chosen() -> None:
    subjects = subjects_of(DEFINITION)
    assert [each.channels for each in subjects] == [("x", "y"), ("y", "z"), ("x",)]
    assert [each.title for each in chosen(subjects, "p", None)] == ["s  power of x"]
    first: Subject = chosen(subjects, None, "y, z")[0]
    assert first.channels == ("y", "z")
    assert len(chosen(subjects, None, "y,z")) == 3
    with pytest.raises(CommandError, match=r"\ba\b.*x,y.*\ba\b.*y,z.*\bp\b.*x"):
        chosen(subjects, None, "q")


def test_the_time_shown_follows_the_lowest_frequency() -> None:
    assert (span_of(COHERENCE), span_of(POWER)) == (10.0, 200.0)
