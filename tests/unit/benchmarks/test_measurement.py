"""What is reported follows from what was measured."""

from __future__ import annotations

import sys

import pytest

from benchmarks import peers
from benchmarks.clock import once_s, peak_bytes, rounds
from benchmarks.measurement import Measurement, Work
from benchmarks.report import duration, page


def test_benchmark_entries_alternate_and_first_round_is_discarded() -> None:
    order: list[str] = []
    times = rounds([lambda: order.append("a"), lambda: order.append("b")], 2)
    assert order == ["a", "b"] * 3
    assert [len(each) for each in times] == [2, 2]


def test_output_of_peers_is_not_in_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert once_s(lambda: sys.stdout.write("progress")) >= 0
    assert capsys.readouterr().out == ""


def test_memory_is_that_of_a_process_of_its_own() -> None:
    assert 2**20 < peak_bytes(nothing) < 2**30


def nothing() -> None:
    """Do nothing, in a process that can import this."""


def test_scaled_time_is_median_spread_and_ratio_alike() -> None:
    ours = Measurement(who="ours", seconds=(1.0,))
    theirs = Measurement(who="peer", seconds=(1.0, 2.0, 4.0), scaled=100)
    work = Work(title="work", measurements=(ours, theirs))
    assert theirs.median_s == 200
    assert theirs.spread_s == (100, 400)
    assert ours.spread_s is None
    assert work.ratio(theirs) == 200


def test_missing_peer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PACKAGES, "no_such_peer", "no-such-peer")
    assert peers.load("no_such_peer") is None
    line = peers.missing("no_such_peer")
    work = Work(title="work", measurements=(Measurement(who="ours", seconds=(1.0, 2.0)), line))
    text = page([work], {"cores": "2"}, {"numpy": "2.0"}, "make bench")
    (row,) = [row for row in text.splitlines() if row.startswith("| no-such-peer |")]
    _, _, median, *empty, note, _ = (cell.strip() for cell in row.split("|"))
    assert (median, set(empty)) == ("-", {""})
    assert note == line.note != ""
    assert "| ours | 1.5 s | 1 s to 2 s | 2 |" in text
    assert "`make bench`" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.5e-5, "45 µs")],
)
def test_durations_are_in_readable_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
