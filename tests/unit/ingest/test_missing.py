"""A channel without values is reported when it begins to have none and when it has some again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cwt_ingest.accounting import Finding
from cwt_ingest.missing import MissingChannels
from cwt_schemas.checkpoint import MissingState
from tests.thorough import cases

PATIENCE = 20
NAMES = ("a", "b")

Told = tuple[str, int, int]


def follow(samples: NDArray[np.float64], cuts: list[int]) -> list[Finding]:
    """Return what is told of samples (time, channel) in chunks; the state is kept in between."""
    names = tuple(f"c{column}" for column in range(samples.shape[1]))
    state, found = MissingState(), []
    for start, stop in pairwise([0, *sorted({*cuts, len(samples)} - {0})]):
        missing = MissingChannels.of(state, len(names))
        after, told = missing.after(start, samples[start:stop], names=names, patience=PATIENCE)
        state = after.state
        found.extend(told)
    return found


def told(findings: list[Finding]) -> list[Told]:
    return [(each.kind, each.first_sample, each.n_samples) for each in findings]


def test_missing_channel_is_reported_at_start_and_end_only() -> None:
    """It was told once a chunk: 50 events a second for hours."""
    samples = np.zeros((1000, 2))
    samples[105:705, 1] = np.nan
    begun, over = follow(samples, list(range(0, 1000, 10)))
    assert (begun.kind, begun.first_sample, begun.n_samples) == ("missing", 105, 5)
    assert begun.detail.startswith("channel c1 has no value (NaN or infinite) from sample 105")
    assert (over.kind, over.first_sample, over.n_samples) == ("recovered", 105, 600)
    assert "values again from sample 705 on; 600 of 600" in over.detail


def test_a_loose_contact_is_one_stretch() -> None:
    samples = np.zeros((400, 1))
    samples[100:200:7] = np.nan
    assert told(follow(samples, list(range(0, 400, 5)))) == [
        ("missing", 100, 1),
        ("recovered", 100, 99),
    ]


def test_channels_with_equal_start_are_reported_together() -> None:
    samples = np.zeros((200, 9))
    samples[50:60] = samples[90:95, 3] = np.nan
    begun, over, later, at_last = follow(samples, list(range(0, 200, 10)))
    assert begun.detail.startswith("channels c0, c1, c2, c3, c4 and 4 more have no value")
    assert (over.first_sample, over.n_samples) == (50, 10)
    assert later.detail.startswith("channel c3 has no value")
    assert (at_last.first_sample, at_last.n_samples) == (90, 5)


def test_a_stretch_within_a_long_chunk_begins_and_ends_with_it() -> None:
    samples = np.zeros((100, 1))
    samples[10:12] = np.nan
    assert told(follow(samples, [])) == [("missing", 10, 2), ("recovered", 10, 2)]


def test_whole_numbers_are_never_missing() -> None:
    none = MissingChannels.of(MissingState(), 2)
    assert none.after(0, np.zeros((5, 2), "<i2"), names=NAMES, patience=1) == (none, [])


def stretches(column: NDArray[np.bool_]) -> list[Told]:
    """Return what a channel's stretches are, sample by sample."""
    found: list[Told] = []
    first = last = -1
    for at, absent in enumerate(column):
        if first >= 0 and at - last > PATIENCE:
            found.append(("recovered", first, last + 1 - first))
            first = -1
        if absent:
            first, last = (at if first < 0 else first), at
    if first >= 0 and len(column) - 1 - last >= PATIENCE:
        found.append(("recovered", first, last + 1 - first))
    return found


@settings(max_examples=cases(200))
@given(
    holes=st.lists(st.tuples(st.integers(0, 299), st.integers(1, 40)), max_size=8),
    lengths=st.lists(st.integers(1, PATIENCE), min_size=20, max_size=300),
)
def test_however_chunks_are_cut_the_stretches_are_the_same(
    holes: list[tuple[int, int]], lengths: list[int]
) -> None:
    samples = np.zeros((300, 1))
    for start, n in holes:
        samples[start : start + n] = np.nan
    cuts = [int(cut) for cut in np.cumsum([*lengths, *[PATIENCE] * 20]) if cut < 300]
    found = told(follow(samples, cuts))
    assert [each for each in found if each[0] == "recovered"] == stretches(np.isnan(samples[:, 0]))
    begun = [each for each in found if each[0] == "missing"]
    assert len(begun) - len(stretches(np.isnan(samples[:, 0]))) in {0, 1}
