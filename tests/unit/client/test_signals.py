"""What a program passes as samples or as a signal becomes plain arrays."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cwt_schemas.codec import validated
from cwt_schemas.errors import Unprocessable
from cwt_schemas.query import CwtRequest
from pycwt_client.signals import (
    as_samples,
    as_signal,
    check_pair,
    level_fields,
    with_plain_numbers,
)
from pycwt_mod import MonteCarlo


@pytest.mark.parametrize(
    "values",
    [
        [1.0, None, 3.0],
        np.array([1, None, 3], object),
        pd.Series([1, pd.NA, 3], dtype="Int64"),
        np.ma.MaskedArray([1, 2, 3], [False, True, False]),
    ],
    ids=["list", "objects", "nullable Series", "masked"],
)
def test_a_missing_sample_is_sent_as_nan(values: Any) -> None:
    for found in (as_samples(values), as_signal("data", values)):
        assert found.dtype == np.float64
        assert np.array_equal(found, [1, np.nan, 3], equal_nan=True)


def test_time_comes_first_in_samples_with_labels() -> None:
    samples = np.arange(6, dtype=np.int16).reshape(3, 2)
    turned = xr.DataArray(samples.T, dims=["channel", "time"])
    for found in (as_samples(turned), as_samples(pd.DataFrame(samples))):
        assert found.dtype == np.int16
        assert np.array_equal(found, samples)


def test_big_endian_singles_are_computed_in_single_precision() -> None:
    assert as_signal("data", np.ones(3, ">f4")).dtype == np.float32


def test_series_of_different_times_are_not_paired() -> None:
    series = pd.Series(np.arange(5.0), index=pd.date_range("2020", periods=5, freq="h"))
    check_pair(series, series + 1)
    check_pair(series, np.arange(5))
    with pytest.raises(Unprocessable, match=r"signal2: .*indexes differ"):
        check_pair(series, series.shift(freq="h"))


def test_numbers_of_numpy_are_sent_as_those_of_python() -> None:
    fields = {"dt": np.array(0.5), "dj": Fraction(1, 4), "s0": np.float32(2), "J": np.int64(7)}
    others = {"n": np.array(300), "seed": np.uint64(2**63 + 1), "data": np.ones(1)}
    found = with_plain_numbers({**fields, **others})
    assert (found["dt"], found["dj"], found["s0"]) == (0.5, 0.25, 2.0)
    assert [type(found[name]) for name in ("J", "n", "seed")] == [int, int, int]
    assert found["seed"] == 2**63 + 1
    del found["seed"], found["n"]
    assert validated(CwtRequest, {**found, "data": np.ones(9)}).J == 7


@pytest.mark.parametrize("number", [np.int64(64), np.array(64), np.array([64])])
@pytest.mark.parametrize("name", ["n", "mc_count", "seed", "J"])
def test_whole_numbers_of_numpy_stay_whole(name: str, number: Any) -> None:
    found = with_plain_numbers({name: number})[name]
    assert (type(found), found) == (int, 64)


#: What a request has if its sender chose nothing.
LEVEL: dict[str, Any] = {
    "method": "montecarlo", "mc_count": 300, "seed": None, "backend": "sequential",
}  # fmt: skip


def test_options_of_a_level_become_fields_of_a_request() -> None:
    assert level_fields(None, {**LEVEL, "seed": 1}) == {**LEVEL, "seed": 1}
    assert level_fields("table", LEVEL) == {"method": "table"}
    options = MonteCarlo(count=20, seed=5, backend="cluster")
    assert level_fields(options, LEVEL) == {"mc_count": 20, "seed": 5, "backend": "cluster"}


@pytest.mark.parametrize(
    "options", [{"precision": 0.1}, {"n_jobs": 2}, {"cache": {}}, {"progress": print}], ids=str
)
def test_options_that_a_request_cannot_carry_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable, match=f"significance: cannot send {next(iter(options))}="):
        level_fields(MonteCarlo(**options), LEVEL)


@pytest.mark.parametrize("significance", [MonteCarlo(), "table"], ids=["value", "table"])
@pytest.mark.parametrize(
    "field", [{"method": "table"}, {"mc_count": 5}, {"seed": 0}, {"backend": "joblib"}], ids=str
)
def test_a_level_is_chosen_in_one_form(significance: Any, field: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable, match=f"cannot use {next(iter(field))}= with significance="):
        level_fields(significance, {**LEVEL, **field})


@pytest.mark.parametrize("significance", ["montecarlo", MonteCarlo, 300], ids=repr)
def test_invalid_significance_method_is_refused(significance: Any) -> None:
    with pytest.raises(Unprocessable, match="give MonteCarlo"):
        level_fields(significance, LEVEL)


def test_invalid_number_is_refused_with_field() -> None:
    with pytest.raises(Unprocessable, match=r"dt.*in the unit you choose"):
        with_plain_numbers({"dt": pd.Timedelta("1s")})
