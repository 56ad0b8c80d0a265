"""Lost samples become gaps of the right size, however the samples come."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pycwt_client.sources.channels import legal_names
from pycwt_client.sources.places import ByCounter, ByTime, Run

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


def test_nothing_is_placed_nowhere() -> None:
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
