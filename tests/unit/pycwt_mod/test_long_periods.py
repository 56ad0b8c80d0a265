"""Levels of coherence at periods that are a large part of the record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.false_positives import Case, coherence, rates
from pycwt_mod import (
    DOG,
    MonteCarloLevels,
    MonteCarloPlan,
    Morlet,
    Paul,
    rednoise,
    wct,
    wct_significance,
)
from pycwt_mod.rednoise import red_samples

LAG1 = 0.3
SHORT = Case(Morlet(), 64, 2, LAG1)


def axis(case: Case) -> tuple[float, float, float, float, float, int]:
    scales = case.plan.scales
    return LAG1, LAG1, 1.0, 1 / case.voices, float(scales[0]), len(scales) - 1


@pytest.mark.slow
def test_false_positives_at_long_periods_are_5_percent() -> None:
    # They were 9 % at 0.2 and 17 % at 0.3 of the record: records had 6 times the largest scale.
    levels = [wct_significance(*axis(SHORT), mc_count=1000, rng=1, n=n) for n in (None, 64)]
    levels.append(wct_significance(*axis(SHORT), method="table", n=64))
    found = rates(SHORT, [np.asarray(each) for each in levels], 2000, estimated=False)
    old, new, looked_up = found[:, SHORT.valid.any(axis=1)]
    assert old[-2:].min() > 8
    assert new == pytest.approx(np.full(len(new), 5), abs=1)
    assert looked_up == pytest.approx(np.full(len(new), 5), abs=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [Case(Morlet(), 100, 2, 0.1), Case(Paul(), 60, 2, LAG1), Case(DOG(2), 60, 2, LAG1)],
    ids=["morlet", "paul", "dog"],
)
def test_false_positives_are_5_percent_at_every_scale(case: Case) -> None:
    levels = [case.levels(case.lag1, case.lag1, seed, case.n) for seed in range(8)]
    found = rates(case, levels, 4000, estimated=False)[:, case.valid.any(axis=1)]
    assert found.mean(axis=0) == pytest.approx(np.full(found.shape[1], 5), abs=0.7)


def test_the_formula_of_the_benchmark_is_the_librarys_coherence() -> None:
    x, y = red_samples(np.random.default_rng(1), (2, 2, 60), LAG1)
    for wavelet in (Morlet(), Paul(), DOG(2)):
        expected = wct(x, y, 1.0, 1 / 4, wavelet=wavelet, sig=False).coherence
        found = coherence(Case(wavelet, 60, 4, LAG1), x, y)
        assert found[:, 1:] == pytest.approx(expected[:, 1:], abs=1e-3)


def test_wct_takes_the_levels_of_its_own_length() -> None:
    x, y = rednoise(200, LAG1, rng=1), rednoise(200, LAG1, rng=2)
    found = wct(x, y, 1.0, 1 / 2, al1=LAG1, al2=LAG1, mc_count=20, rng=3).signif
    options = axis(Case(Morlet(), 200, 2, LAG1))
    expected = wct_significance(*options, mc_count=20, rng=3, n=200)
    assert np.array_equal(found, expected)
    assert np.isfinite(found).all()


def test_short_periods_do_not_feel_the_length_of_the_record() -> None:
    long, longer = (
        wct_significance(LAG1, LAG1, 1.0, 1 / 2, 2.0, 6, mc_count=20, rng=1, n=n)
        for n in (10_000, 20_000)
    )
    assert np.array_equal(long, longer)


def test_pycwts_convention_has_records_of_six_times_the_largest_scale() -> None:
    options: Any = (*axis(SHORT), 0.95, "morlet", 5)
    one = wct_significance(*options, rng=1, n=64, convention="pycwt")
    other = wct_significance(*options, rng=1, convention="pycwt")
    assert np.array_equal(one, other, equal_nan=True)


def test_the_length_is_part_of_the_key_of_a_cache() -> None:
    kept: dict[tuple[MonteCarloPlan, float], MonteCarloLevels] = {}
    for n in (None, 64, 65):
        wct_significance(*axis(SHORT), mc_count=5, rng=1, n=n, cache=kept)
    assert len(kept) == 3


@pytest.mark.slow
def test_the_same_seed_gives_the_same_levels_in_other_processes() -> None:
    options = axis(SHORT)
    one = wct_significance(*options, mc_count=30, rng=4, n=64)
    two = wct_significance(*options, mc_count=30, rng=4, n=64, backend="joblib", n_jobs=2)
    assert np.array_equal(one, two)


@pytest.mark.parametrize("n", [64.0, np.int64(64), np.array([64])])
def test_a_length_may_come_in_any_form_of_a_whole_number(n: Any) -> None:
    options: dict[str, Any] = {"mc_count": 20, "rng": 1}
    expected = wct_significance(*axis(SHORT), n=64, **options)
    assert np.array_equal(wct_significance(*axis(SHORT), n=n, **options), expected)


@pytest.mark.parametrize("n", [1, 2.5, "many"])
def test_invalid_length_is_refused(n: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="n="):
        wct_significance(*axis(SHORT), n=n)
