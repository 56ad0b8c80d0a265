"""The options of a level: one value, or one by one as in pycwt."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pycwt_mod import MonteCarlo, MonteCarloLevels, WctResult, rednoise, wct, wct_significance
from pycwt_mod.significance import SimulationOptions

X, Y = rednoise(120, 0.5, rng=1), rednoise(120, 0.3, rng=2)
AXIS: dict[str, Any] = {"dt": 1.0, "dj": 1 / 4, "s0": 2.0, "J": 12}


def report(done: int, total: int) -> None:
    assert done <= total


#: Options one by one, and the fields of `MonteCarlo` that mean the same.
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mc_count": ({"mc_count": 7, "seed": 1}, {"count": 7, "seed": 1}),
    "precision": ({"precision": 0.03, "rng": 1}, {"precision": 0.03, "seed": 1}),
    "progress": ({"progress": report, "rng": 1}, {"progress": report, "seed": 1}),
    "cache": ({"cache": {}, "rng": 1}, {"cache": {}, "seed": 1}),
    "method": ({"method": "montecarlo", "rng": 1}, {"seed": 1}),
    "rng": ({"rng": np.random.default_rng(3)}, {"seed": np.random.default_rng(3)}),
    "seed": ({"seed": 3}, {"seed": 3}),
    "backend": ({"backend": "joblib", "seed": 1}, {"backend": "joblib", "seed": 1}),
    "n_jobs": (
        {"n_jobs": 2, "backend": "joblib", "seed": 1},
        {"n_jobs": 2, "backend": "joblib", "seed": 1},
    ),
}


def assert_same(found: WctResult, expected: WctResult) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert type(found.signif) is type(expected.signif)
    if isinstance(found.signif, MonteCarloLevels):
        for fact, value in vars(expected.signif).items():
            np.testing.assert_array_equal(getattr(found.signif, fact), value)


@pytest.mark.parametrize("name", SimulationOptions.__annotations__)
def test_every_option_gives_the_same_numbers_in_either_form(name: str) -> None:
    options, fields = FORMS[name]
    found = wct(X, Y, **AXIS, significance=MonteCarlo(**{"count": 20, **fields}))
    one_by_one: dict[str, Any] = {"mc_count": 20, **options}
    assert_same(found, wct(X, Y, **AXIS, **one_by_one))


def test_the_table_gives_the_same_numbers_in_either_form() -> None:
    found = wct(X, Y, **AXIS, significance="table")
    assert isinstance(found.signif, MonteCarloLevels)
    assert found.signif.method == "table"
    assert_same(found, wct(X, Y, **AXIS, method="table"))


@pytest.mark.parametrize("flag", [False, True])
def test_pycwts_flags_for_progress_and_cache_are_accepted(flag: bool) -> None:
    found = wct(X, Y, **AXIS, mc_count=5, rng=1, progress=flag, cache=flag)
    assert_same(found, wct(X, Y, **AXIS, mc_count=5, rng=1))


def test_a_batch_has_the_numbers_of_its_pairs_in_either_form() -> None:
    one, other = np.stack([X, Y]), np.stack([Y[::-1], X[::-1]])
    options = MonteCarlo(count=20, seed=1)
    found = wct(one, other, **AXIS, significance=options)
    assert_same(found, wct(one, other, **AXIS, mc_count=20, seed=1))
    for k in range(2):
        single = wct(one[k], other[k], **AXIS, significance=options)
        np.testing.assert_array_equal(found.signif[k], single.signif)
    table = wct(one, other, **AXIS, significance="table")
    assert_same(table, wct(one, other, **AXIS, method="table"))


def test_pairs_of_a_batch_draw_one_after_the_other_from_a_generator() -> None:
    batch = np.stack([X, X]), np.stack([Y, Y])
    found = wct(*batch, **AXIS, significance=MonteCarlo(count=5, seed=np.random.default_rng(4)))
    expected = wct(*batch, **AXIS, mc_count=5, rng=np.random.default_rng(4))
    assert_same(found, expected)
    assert not np.array_equal(found.signif[0], found.signif[1])


def test_without_options_the_level_is_that_of_monte_carlo_by_default() -> None:
    defaults = inspect.signature(wct_significance).parameters
    options = MonteCarlo()
    assert options.count == defaults["mc_count"].default
    for name in ("precision", "seed", "backend", "n_jobs"):
        assert getattr(options, name) == defaults[name].default
    found = wct(X, Y, **AXIS).signif
    assert isinstance(found, MonteCarloLevels)
    assert (found.mc_count, found.method) == (300, "montecarlo")


def test_progress_is_reported_and_levels_are_cached() -> None:
    seen: list[tuple[int, int]] = []
    cache: dict[Any, Any] = {}
    options = MonteCarlo(count=5, seed=1, cache=cache, progress=lambda *done: seen.append(done))
    found = wct(X, Y, **AXIS, significance=options)
    count = len(seen)
    assert seen[-1] == (count, count)
    assert len(cache) == 1
    assert_same(wct(X, Y, **AXIS, significance=options), found)
    assert len(seen) == count


@pytest.mark.parametrize("name", SimulationOptions.__annotations__)
@pytest.mark.parametrize("significance", [MonteCarlo(), "table"], ids=["value", "table"])
def test_both_forms_together_are_refused(name: str, significance: Any) -> None:
    options: dict[str, Any] = {name: None}
    with pytest.raises(ValueError, match=f"cannot use {name}= with significance=: give"):
        wct(X, Y, **AXIS, significance=significance, **options)


def test_a_refusal_names_the_fields_of_the_value() -> None:
    with pytest.raises(ValueError, match=r"^cannot use seed= .*: give MonteCarlo\(seed=\.\.\.\)$"):
        wct(X, Y, 1.0, seed=1, significance=MonteCarlo())
    match = r"mc_count= and rng= .*: give MonteCarlo\(count=\.\.\., seed=\.\.\.\)"
    with pytest.raises(ValueError, match=match):
        wct(X, Y, 1.0, mc_count=5, rng=1, significance=MonteCarlo())
    with pytest.raises(
        ValueError, match=r"method= .*: give either MonteCarlo\(\.\.\.\) or 'table'"
    ):
        wct(X, Y, 1.0, method="table", significance="table")


@pytest.mark.parametrize("name", ["mc_cuont", "surrogates", "between"])
@pytest.mark.parametrize("others", [{}, {"seed": 1}, {"significance": "table"}, {"sig": False}])
def test_an_unknown_keyword_is_a_type_error_as_pythons_own(
    name: str, others: dict[str, Any]
) -> None:
    unknown: dict[str, Any] = {name: 5}
    message = rf"^wct\(\) got an unexpected keyword argument '{name}'$"
    with pytest.raises(TypeError, match=message):
        wct(X, Y, 1.0, **others, **unknown)


@pytest.mark.parametrize(
    ("significance", "error"),
    [("montecarlo", ValueError), (MonteCarlo, TypeError), (300, TypeError), (X[:2], TypeError)],
    ids=["a name", "the class", "a count", "an array"],
)
def test_invalid_significance_method_is_refused(significance: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"cannot use significance=.*MonteCarlo\(\.\.\.\) or 'table'"):
        wct(X, Y, 1.0, sig=False, significance=significance)


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"count": 0}, ValueError),
    ({"count": 2.5}, ValueError),
    ({"count": None}, TypeError),
    ({"precision": 0}, ValueError),
    ({"precision": "0.1"}, TypeError),
    ({"seed": -1}, ValueError),
    ({"seed": 0.5}, TypeError),
    ({"backend": None}, TypeError),
    ({"n_jobs": "2"}, TypeError),
    ({"cache": True}, TypeError),
    ({"progress": True}, TypeError),
]


@pytest.mark.parametrize(("fields", "error"), WRONG, ids=str)
def test_a_wrong_value_is_refused_where_it_is_given(
    fields: dict[str, Any], error: type[Exception]
) -> None:
    (name, value) = next(iter(fields.items()))
    with pytest.raises(error, match=f"{name}={value!r}"):
        MonteCarlo(**fields)


NUMBERS: list[Callable[[float], Any]] = [np.int64, np.array, np.float32]


@pytest.mark.parametrize("form", NUMBERS)
def test_a_count_in_any_form_is_a_whole_number(form: Callable[[float], Any]) -> None:
    options = MonteCarlo(count=form(20), precision=form(1))
    assert (type(options.count), options.count) == (int, 20)
    assert (type(options.precision), options.precision) == (float, 1.0)


def test_options_are_a_value() -> None:
    options = MonteCarlo(count=20, seed=1, cache={})
    assert hash(options) == hash(MonteCarlo(count=20, seed=1))
    assert options != MonteCarlo(count=20, seed=1)
    assert "cache" not in repr(options)
    with pytest.raises(AttributeError):
        options.count = 3  # type: ignore[misc]
