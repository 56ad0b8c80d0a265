"""The comparison of streaming transforms, with little data."""

from __future__ import annotations

import pytest

from benchmarks.streaming import lines


@pytest.mark.slow
def test_final_values_are_exact_and_estimates_at_the_newest_sample_are_not() -> None:
    final, provisional, *_ = lines(seconds=6, repeats=1, channels=1)
    assert final.accounted.max() < 1e-5
    assert final.delays.min() > 5
    assert provisional.newest is not None
    assert 0.3 < provisional.newest.max() < 1.2
