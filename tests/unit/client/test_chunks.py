"""Pushes become chunks, whatever their sizes, and not a sample moves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycwt_client.chunks import Batch, Piece, cut


def piece(first: int, n: int, *, dtype: str = "<f4", channels: int = 2) -> Piece:
    samples = (first + np.arange(n)[:, None] + np.zeros(channels)).astype(dtype)
    return Piece(first_sample=first, t0_ns=first * 10, samples=samples)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2), st.sampled_from(["<f4", "<i2"]))),
    st.integers(1, 20),
    st.integers(8, 60),
)
def test_every_sample_comes_out_once_at_its_position_with_its_time(
    pushes: list[tuple[int, int, str]], enough: int, max_bytes: int
) -> None:
    batch, first, sent, out = Batch(enough=enough), 0, list[int](), list[Piece]()
    for n, gap, dtype in pushes:
        first += gap
        out += batch.push(piece(first, n, dtype=dtype))
        sent += range(first, first + n)
        first += n
        assert len(batch) < enough
    out += batch.take()
    parts = [part for each in out for part in cut(each, max_bytes)]
    assert [at for part in parts for at in range(part.first_sample, part.next_sample)] == sent
    for part in parts:
        np.testing.assert_array_equal(
            part.samples[:, 0], range(part.first_sample, part.next_sample)
        )
        assert part.t0_ns in {None, part.first_sample * 10}
        assert part.samples.nbytes <= max(max_bytes, part.samples[:1].nbytes)
    assert all(one.next_sample <= other.first_sample for one, other in pairwise(parts))


def test_what_follows_is_joined_and_a_gap_is_not() -> None:
    batch = Batch(enough=100)
    assert batch.push(piece(0, 3)) == []
    assert batch.push(piece(3, 3)) == []
    (joined,) = batch.push(piece(7, 3))
    assert (joined.first_sample, joined.next_sample, joined.t0_ns) == (0, 6, 0)
    assert batch.take()[0].first_sample == 7
    assert batch.take() == []


def test_other_channels_than_before_are_refused_and_change_nothing() -> None:
    batch = Batch(enough=100)
    batch.push(piece(0, 3))
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(3, 2\)"):
        batch.push(piece(3, 4, channels=3))
    assert len(batch) == 3
