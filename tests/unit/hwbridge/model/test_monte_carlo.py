from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwt_hwbridge.model import McPass, run_mc
from cwt_hwbridge.model.noise import AutoregressiveNoise, Xorshift128
from cwt_schemas.hwplan import McPlan
from tests.hardware import slow_formulas
from tests.hardware.plans import mc_plan
from tests.thorough import cases

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=cases(40), deadline=None)
@given(seed=seeds)
def test_a_pass_is_the_page_written_out_sample_by_sample(seed: int) -> None:
    plan = mc_plan(seed)
    slow = slow_formulas.Pass(plan)
    slow.run()

    result = run_mc(plan)

    assert result.histograms.tolist() == slow.counts
    assert result.saturations == slow.sums.limited


@pytest.mark.slow
def test_random_passes_reach_many_bins_and_both_ends() -> None:
    """Else the comparison above would compare nothing."""
    total = sum(run_mc(mc_plan(seed)).histograms.sum(axis=0, dtype=int) for seed in range(30))

    assert total[0] > 0
    assert total[255] > 0
    assert np.count_nonzero(total) > 200


@settings(max_examples=cases(20), deadline=None)
@given(seed=st.binary(min_size=16, max_size=16).filter(any), counts=st.lists(st.integers(1, 700)))
def test_the_generator_draws_the_same_in_any_pieces(seed: bytes, counts: list[int]) -> None:
    generator = Xorshift128(seed)

    drawn = [number for count in counts for number in generator.draws(count).tolist()]

    assert drawn == list(islice(slow_formulas.xorshift128(seed), sum(counts)))


def test_the_generator_is_marsaglias() -> None:
    """With his seeds, 123456789, 362436069, 521288629, 88675123, xor128 gives 3701687786 first."""
    words = np.array([123456789, 362436069, 521288629, 88675123], dtype="<u4")

    assert Xorshift128(words.tobytes()).draws(1).tolist() == [3701687786]


@settings(max_examples=cases(20), deadline=None)
@given(seed=seeds, counts=st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_the_noise_goes_on_where_it_was(seed: int, counts: list[int]) -> None:
    plan = mc_plan(seed)
    start = plan.start
    noise = AutoregressiveNoise(start.seed, start.a1, start.a2, start.noise_shift)

    made = np.concatenate([noise.samples(count) for count in counts], axis=1)

    expected = islice(slow_formulas.noise(plan), sum(counts))
    assert made.T.tolist() == [list(pair) for pair in expected]


def test_unlimited_noise_has_requested_lag_1_coefficient() -> None:
    noise = AutoregressiveNoise(bytes(range(16)), round(0.7 * 2**15), 0, 4)

    red, white = noise.samples(100_000).astype(float)

    assert np.corrcoef(red[1:], red[:-1])[0, 1] == pytest.approx(0.7, abs=0.01)
    assert np.corrcoef(white[1:], white[:-1])[0, 1] == pytest.approx(0, abs=0.01)
    assert np.std(white) == pytest.approx(53510 / 2**4, rel=0.01)
    assert np.corrcoef(red, white)[0, 1] == pytest.approx(0, abs=0.01)


def test_a_pass_bins_every_row_at_every_instant_when_there_is_power() -> None:
    plan = mc_plan(11)

    one = McPass(plan)
    while not one.finished:
        one.advance()

    assert one.done == plan.start.instants
    assert one.result().histograms.sum(axis=1).tolist() == [plan.start.instants] * plan.start.count


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rows": 32}, "rows=32"),
        ({"count": 0}, "count=0"),
        ({"decimations": 16}, "decimations=16"),
        ({"instants": 0}, "instants=0"),
        ({"seed": bytes(16)}, "seed="),
        ({"first": 31}, "first=31"),
    ],
)
def test_a_pass_outside_the_devices_limits_is_refused(change: dict[str, Any], named: str) -> None:
    plan = mc_plan(0)

    with pytest.raises(ValueError, match=named):
        McPass(McPlan(table=plan.table, start=replace(plan.start, **change)))
