"""Lost samples become gaps of the right size, however the samples come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycwt_client.sources.channels import legal_names
from pycwt_client.sources.places import ByCounter, ByTime, Run, Stamps, placed_by_time

FS = 100.0

#: Lengths of stretches, and how much is lost between them.
STRETCHES = st.lists(st.tuples(st.integers(1, 40), st.integers(30, 900)), min_size=1, max_size=6)
CUTS = st.lists(st.integers(1, 25), min_size=1)


def positions(stretches: list[tuple[int, int]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where the samples are that were not lost."""
    parts, first = [], 0
    for length, lost in stretches:
        parts.append(np.arange(first, first + length))
        first += length + lost
    return np.concatenate(parts)


def told(runs: list[Run], offset: int) -> dict[int, int]:
    """The position of each sample given."""
    return {
        offset + at: run.first_sample + at - run.start
        for run in runs
        for at in range(run.start, run.stop)
    }


@given(STRETCHES, CUTS, st.integers(0, 2**32 - 1))
def test_times_with_jitter_give_the_positions_back(
    stretches: list[tuple[int, int]], cuts: list[int], seed: int
) -> None:
    where = positions(stretches)
    jitter = np.random.default_rng(seed).uniform(-0.2, 0.2, len(where)) / FS
    times_s, by_time, found, at = 1e6 + where / FS + jitter, ByTime(FS, 0.25), dict[int, int](), 0
    while at < len(where):
        n = cuts[at % len(cuts)]
        found |= told(by_time.place(times_s[at : at + n]), at)
        at += n
    assert found == dict(enumerate(where.tolist()))


@given(STRETCHES, CUTS, st.integers(0, 255))
def test_a_counter_gives_the_positions_back_round_after_round(
    stretches: list[tuple[int, int]], cuts: list[int], start: int
) -> None:
    where = positions(stretches)
    counts, times_s = ((start + where) % 256).astype(float), 1e6 + where / FS
    by_counter, found, at = ByCounter(FS, 256), dict[int, int](), 0
    while at < len(where):
        n = cuts[at % len(cuts)]
        found |= told(by_counter.place(counts[at : at + n], times_s[at : at + n]), at)
        at += n
    assert found == dict(enumerate(where.tolist()))


def test_a_counter_sees_a_single_lost_sample() -> None:
    runs = ByCounter(FS, 256).place(np.array([254.0, 255, 1, 2]), np.zeros(4))
    assert [(run.start, run.first_sample) for run in runs] == [(0, 0), (2, 3)]


@given(STRETCHES, st.integers(0, 2**32 - 1))
def test_a_whole_recording_is_placed_as_its_parts_are(
    stretches: list[tuple[int, int]], seed: int
) -> None:
    where = positions(stretches)
    jitter = np.random.default_rng(seed).uniform(-0.2, 0.2, len(where)) / FS
    placement = placed_by_time(1e6 + where / FS + jitter, FS, 0.25)
    assert told(placement.runs, 0) == dict(enumerate(where.tolist()))
    assert placement.wrong == 0


@pytest.mark.parametrize("late_s", [200_000.0, -200_000.0, 15.0, -15.0, 1e300, np.inf, np.nan])
@pytest.mark.parametrize("first", [10, 400, 980])
def test_temporary_time_stamp_jump_changes_nothing(late_s: float, first: int) -> None:
    where = np.concatenate([np.arange(500), np.arange(600, 1100)])  # one loss, which stays
    truth = 1e6 + where / FS
    stamps = truth.copy()
    stamps[first : first + 5] += late_s
    placement = placed_by_time(stamps, FS, 0.25)
    assert told(placement.runs, 0) == dict(enumerate(where.tolist()))
    assert placement.wrong == 5
    np.testing.assert_allclose(placement.times_s, truth, rtol=0, atol=1e-6)


@given(
    cuts=CUTS,
    at=st.integers(1, 900),
    length=st.integers(1, 40),
    late_s=st.sampled_from([200_000.0, -200_000.0, 15.0, -1.0, np.inf, np.nan]),
    seed=st.integers(0, 2**32 - 1),
)
def test_wrong_stamps_of_a_device_move_nothing_however_they_come(
    *, cuts: list[int], at: int, length: int, late_s: float, seed: int
) -> None:
    where = np.concatenate([np.arange(1000), np.arange(1300, 1700)])  # one loss, which stays
    jitter = np.random.default_rng(seed).uniform(-0.2, 0.2, len(where)) / FS
    given_s = 1e6 + where / FS + jitter
    given_s[at : at + length] += late_s
    stamps, by_time, found, begin, out = Stamps(FS, 0.25), ByTime(FS, 0.25), dict[int, int](), 0, 0
    while begin < len(where):
        n = cuts[begin % len(cuts)]
        times_s = stamps.add(given_s[begin : begin + n])
        found |= told(by_time.place(times_s), out)
        begin, out = begin + n, out + len(times_s)
    assert found == dict(enumerate(where.tolist()))


def test_a_clock_that_is_set_back_for_good_loses_nothing() -> None:
    stamps = 1e6 + np.arange(1000) / FS
    stamps[300:] -= 3600
    placement = placed_by_time(stamps, FS, 0.25)
    assert told(placement.runs, 0) == dict(enumerate(range(1000)))
    np.testing.assert_allclose(np.diff(placement.times_s), 1 / FS, atol=1e-6)


def test_stamps_without_any_order_are_not_used() -> None:
    stamps = np.random.default_rng(0).uniform(0, 1e6, 20_000)
    placement = placed_by_time(stamps, FS, 0.25)
    assert placement.runs == [Run(start=0, stop=20_000, first_sample=0)]
    assert placement.wrong == 20_000


def test_empty_signal_has_no_placement() -> None:
    by_time, by_counter, none = ByTime(FS, 0.25), ByCounter(FS, 256), np.zeros(0)
    assert by_time.place(none) == by_counter.place(none, none) == []
    assert by_time.place(np.array([5.0])) == [Run(start=0, stop=1, first_sample=0)]


@given(st.lists(st.text(max_size=80), max_size=30))
def test_names_are_legal_and_differ_whatever_the_labels(labels: list[str]) -> None:
    names = legal_names(labels)
    assert len(set(names)) == len(names) == len(labels)
    assert all(name.isascii() and 1 <= len(name) <= 64 for name in names)
    assert all(set(name) <= LEGAL for name in names)


LEGAL = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
