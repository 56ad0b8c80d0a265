"""The live table of results, events and rates."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from cwt_cli.live_table import LiveTable, Peak, RateMeter, latest_peak
from cwt_schemas.live import StreamEvent
from cwt_schemas.marker import Marker
from cwt_schemas.stream import Channel, ClockStatus, StreamDefinition, StreamLag, StreamStatus
from tests.text import numbers
from tests.unit.client.blocks import block


def shown(table: LiveTable, now_s: float = 10.0) -> str:
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as captured:
        console.print(table.table(now_s))
    return captured.get()


def status(chunks: int, windows: int) -> StreamStatus:
    definition = StreamDefinition(name="s", fs_hz=10.0, channels=(Channel(name="x"),))
    return StreamStatus(definition=definition, chunks=chunks, windows=windows)


def test_a_result_is_a_row_with_its_band_peak_and_latency() -> None:
    table = LiveTable()
    table.feed_result(block(0, 0, value=0.25), 10.0)
    line = next(line for line in shown(table).splitlines() if "x y" in line)
    assert "6 - 8" in line
    assert "0.75" in line
    assert "250" in line


def test_a_late_older_result_does_not_replace_the_latest() -> None:
    table = LiveTable()
    table.feed_result(block(0, 8, value=0.125), 10.0)
    table.feed_result(block(0, 0, value=0.375), 10.1)
    assert re.search(r"\b0\.62\b\D* 6 Hz", "\n".join(table.lines(10.2)))


def test_masked_columns_are_no_peak() -> None:
    assert latest_peak(block(0, 0, masked=True)) is None
    table = LiveTable()
    table.feed_result(block(0, 0, masked=True), 10.0)
    assert "-" in shown(table)


def test_the_peak_is_of_the_last_column_that_is_valid() -> None:
    mask = np.zeros((2, 4), dtype=bool)
    mask[:, 3] = mask[1, 2] = True
    found = latest_peak(block(0, 100).model_copy(update={"mask": mask}))
    assert found == (102, Peak(102.0, 8.0))


def test_a_new_epoch_starts_the_stream_afresh() -> None:
    table = LiveTable()
    table.feed_result(block(3, 0), 10.0)
    table.feed_result(block(0, 0, epoch="later"), 11.0)
    assert shown(table).count("x y") == 1
    assert "0.75 - 1" not in shown(table)


def test_plain_lines_name_the_octave_with_the_largest_peak() -> None:
    table = LiveTable()
    table.feed_result(block(0, 0, value=0.125), 10.0)
    table.feed_result(block(1, 0, value=0.25), 10.0)
    (line,) = table.lines(11.0)
    assert re.search(r"\b3-4 Hz\b.*\b0\.75\b\D* 3 Hz", line)


def test_rates_come_from_the_counts_of_ingest() -> None:
    table = LiveTable()
    table.feed_status(status(0, 0), 0.0)
    table.feed_status(status(20, 4), 2.0)
    (line,) = table.lines(2.0)
    assert line.startswith("s: 10.0 chunks/s, 2.0 windows/s")
    assert numbers(line)[2:] == ["0", "0", "0.0"]


def test_what_a_stream_owes_and_how_its_clock_goes_is_told() -> None:
    table = LiveTable()
    lag = StreamLag(chunks=2, windows=5, seconds=0.75)
    clock = ClockStatus(drift_ppm=-12.5, jitter_s=4e-4, stamps=90, steps=0)
    table.feed_status(status(1, 1).model_copy(update={"lag": lag, "clock": clock}), 0.0)
    goes, drifts = table.lines(1.0)
    assert goes.endswith("2 chunks, 5 windows, 0.8 s")
    assert re.search(r"^s\b.* -12\.5 ppm\b.* 0\.40 ms$", drifts)


def test_the_last_events_are_told_and_all_are_counted() -> None:
    table = LiveTable()
    for number in range(6):
        table.feed_event(StreamEvent(id=f"{number}", stream="s", kind="gap", detail="d", t_ns=1))
    assert table.events == {"gap": 6}
    assert shown(table).count("s gap d") == 4


def test_plain_lines_tell_an_event_once() -> None:
    table = LiveTable()
    table.feed_event(StreamEvent(id="1", stream="s", kind="gap", detail="d", t_ns=1))
    (told,), again = table.lines(1.0), table.lines(2.0)
    assert told.endswith("s gap d")
    assert again == []


def test_markers_are_told_with_their_time_alongside_events() -> None:
    table = LiveTable()
    table.feed_status(status(1, 1), 0.0)
    fs_hz = status(1, 1).definition.fs_hz
    at = round(12.5 * fs_hz)
    table.feed_marker(Marker(stream="s", epoch="e", first_sample=at, text="eyes\nclosed"))
    table.feed_event(StreamEvent(id="1", stream="s", kind="gap", detail="d", t_ns=1))
    table.feed_marker(
        Marker(stream="t", epoch="e", first_sample=7, n_samples=3, channel="x", text="on")
    )
    table.feed_marker(Marker(stream="s", t_ns=1_500_000_000, duration_s=2.0, text="off"))
    told = [line for line in table.lines(1.0) if line.startswith(("marker", "event"))]
    assert told == [
        "event: s gap d",
        "marker: s 12.50 s: eyes closed",
        "marker: t x sample 7 for 3 samples: on",
        "marker: s 1970-01-01T00:00:01.500+00:00 for 2 s: off",
    ]
    assert shown(table).count("marker: ") == 2


def test_an_event_is_not_lost_among_heartbeats() -> None:
    table = LiveTable()
    table.feed_event(StreamEvent(id="1", stream="s", kind="gap", detail="d", t_ns=1))
    for at in range(100):
        table.feed_marker(Marker(stream="s", epoch="e", first_sample=at, text="N"))
    assert "s gap d" in shown(table)
    assert sum(line.endswith("s gap d") for line in table.lines(1.0)) == 1


def test_without_results_it_says_that_it_waits() -> None:
    assert "waiting" in shown(LiveTable())


@pytest.mark.parametrize(
    ("counts", "now_s", "rate"),
    [
        ([(0.0, 0), (2.0, 10)], 2.0, 5.0),
        ([(0.0, 0), (2.0, 10)], 4.0, 2.5),
        ([(0.0, 100), (1.0, 0), (2.0, 3)], 2.0, 3.0),
        ([(0.0, 5)], 0.0, 0.0),
        ([], 1.0, 0.0),
    ],
)
def test_a_rate_is_a_mean_that_survives_a_restart_of_the_count(
    counts: list[tuple[float, int]], now_s: float, rate: float
) -> None:
    meter = RateMeter()
    for at_s, total in counts:
        meter.count(total, at_s)
    assert meter.per_second(now_s) == rate


def test_the_units_in_the_headings_reach_the_screen() -> None:
    heading, units = shown(LiveTable()).splitlines()[2:4]
    assert heading.split() == ["band", "at", "latency", "results"]
    assert units.split()[3:] == ["(Hz)", "latest", "(Hz)", "(ms)", "per", "s"]


def test_a_terminal_of_80_columns_has_room_for_every_number_and_for_names() -> None:
    table = LiveTable()
    result = block(0, 0, stream="patient-37", value=0.25)
    table.feed_result(result.model_copy(update={"analysis": "coherence"}), 10.0)
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        console.print(table.table(10.0))
    (line,) = [line for line in captured.get().splitlines() if "x y" in line]
    assert line.split() == ["patient-37", "coherence", "x", "y", "6", "-", "8", *NUMBERS]


#: Peak, its frequency, latency, rate.
NUMBERS = ["0.75", "6", "250", "0.0"]
