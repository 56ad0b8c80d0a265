from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwt_hwbridge.model import FilterBank, run_bank
from cwt_schemas.hwlink_layouts import FilterEntry
from cwt_schemas.hwplan import BankPlan, FilterTable
from tests.hardware import slow_formulas
from tests.hardware.plans import bank_plan
from tests.thorough import cases

seeds = st.integers(0, 2**32 - 1)


def noise(seed: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.random.default_rng(seed).integers(-32768, 32768, count).astype(np.int16)


@settings(max_examples=cases(60), deadline=None)
@given(seed=seeds, count=st.integers(0, 80))
def test_bank_equals_direct_evaluation_of_specification(seed: int, count: int) -> None:
    plan, samples = bank_plan(seed), noise(seed, count)

    outputs, limited = slow_formulas.bank(plan, samples.tolist())

    result = run_bank(plan, samples)
    assert result.outputs.tolist() == [list(each) for each in outputs]
    assert result.saturations == limited


@settings(max_examples=cases(60), deadline=None)
@given(seed=seeds, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_a_bank_gives_the_same_however_its_samples_are_cut(seed: int, cuts: list[int]) -> None:
    plan, samples = bank_plan(seed), noise(seed, 200)
    whole = run_bank(plan, samples)

    bank = FilterBank(plan)
    edges = [0, *sorted(cuts), 200]
    pieces = [bank.push(samples[first:end]) for first, end in pairwise(edges)]

    np.testing.assert_array_equal(np.concatenate(pieces), whole.outputs)
    assert bank.saturations == whole.saturations


def test_a_bank_counts_its_saturations_up_to_65535() -> None:
    table = FilterTable(
        coefficients=np.full((1, 2), 32767, dtype=np.int16),
        filters=((0, FilterEntry(start=0, length=1, shift=0)),),
    )
    plan = BankPlan(table=table, octaves=1, rows=1, decimator=0)

    result = run_bank(plan, np.full(40_000, -1000, dtype=np.int16))

    assert result.saturations == 65_535
    assert np.all(result.outputs == -32768)


def test_a_long_recording_in_sixteen_octaves_has_an_output_for_every_sample_of_each() -> None:
    plan = replace(bank_plan(3, rows=1), octaves=16)
    step = 1 << dict(plan.table.filters)[0].step

    outputs = run_bank(plan, noise(1, 1 << 17)).outputs

    assert len(outputs) == sum((1 << 17 >> octave) // step for octave in range(16))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"octaves": 17}, "octaves=17"),
        ({"rows": 0}, "rows=0"),
        ({"decimator": 128}, "decimator=128"),
        ({"rows": 64}, r"filter .*\d"),
    ],
)
def test_a_bank_outside_the_devices_limits_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        FilterBank(replace(bank_plan(0), **change))


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (FilterEntry(start=0, length=257, shift=0), "length=257"),
        (FilterEntry(start=1, length=300, shift=0), "length=300"),
        (FilterEntry(start=290, length=20, shift=0), "reaches beyond"),
        (FilterEntry(start=0, length=1, shift=32), "shift=32"),
        (FilterEntry(start=0, length=1, shift=0, step=4), "step=4"),
    ],
)
def test_a_filter_outside_the_devices_limits_is_refused(entry: FilterEntry, named: str) -> None:
    table = FilterTable(coefficients=np.zeros((300, 2), dtype=np.int16), filters=((0, entry),))

    with pytest.raises(ValueError, match=named):
        FilterBank(BankPlan(table=table, octaves=1, rows=1, decimator=0))
