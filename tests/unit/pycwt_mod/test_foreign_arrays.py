"""Masked arrays, data frames and lists with None are read as what they mean."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis.extra.numpy import arrays

from pycwt_mod import (
    SamplingWarning,
    StreamingCwt,
    ar1,
    cwt,
    global_spectrum,
    icwt,
    multirate,
    plan,
    rednoise,
    scale_average,
    significance,
    wct,
    xwt,
)
from pycwt_mod.arrays import plain_array, real_array

X = rednoise(128, 0.5, rng=1)
Y = rednoise(128, 0.5, rng=2)
SPIKED = np.r_[X[:50], 1e20, X[51:]]
MASKED = np.ma.masked_greater(SPIKED, 1e10)
GAPPY = np.where(SPIKED > 1e10, np.nan, SPIKED)

MISSING: dict[str, Any] = {
    "masked": MASKED,
    "list with None": [None if np.isnan(v) else v for v in GAPPY.tolist()],
    "list with masked": [np.ma.masked if np.isnan(v) else v for v in GAPPY.tolist()],
    "object array": np.array([None if np.isnan(v) else Decimal(v) for v in GAPPY.tolist()]),
    "nullable Series": pd.Series(MASKED.filled(0.0), dtype="Float64").mask(MASKED.mask, pd.NA),
    "object Series": pd.Series([pd.NA if np.isnan(v) else v for v in GAPPY], dtype=object),
    "DataArray": xr.DataArray(GAPPY, dims=["time"]),
}


@pytest.mark.parametrize("values", MISSING.values(), ids=MISSING)
def test_a_missing_sample_is_nan_however_it_is_marked(values: Any) -> None:
    found, expected = cwt(values, 1.0), cwt(GAPPY, 1.0)
    assert np.array_equal(found.coefs, expected.coefs)
    assert np.array_equal(found.mask, expected.mask)
    assert found.mask[0, 50]


CALLS: dict[str, Callable[[Any], Any]] = {
    "xwt": lambda y: xwt(X, y, 1.0, al1=0.5, al2=0.5).cross,
    "wct": lambda y: wct(y, X, 1.0, sig=False).coherence,
    "multirate": lambda y: multirate(y, 1.0).full(),
    "significance": lambda y: significance(y, 1.0, [2.0, 4.0], alpha=0.5).signif,
    "plan.cwt": lambda y: plan(128, 1.0).cwt(y).coefs,
    "plan.xwt": lambda y: plan(128, 1.0).xwt(X, y, al1=0.5, al2=0.5).mask,
    "plan.wct": lambda y: plan(128, 1.0).wct(X, y).mask,
    "plan.multirate": lambda y: plan(128, 1.0).multirate(y).octaves[0].mask,
    "a batch": lambda y: cwt(np.ma.stack([np.ma.asarray(X), y]), 1.0).coefs,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_mask_is_read_by_every_function(call: Callable[[Any], Any]) -> None:
    assert np.array_equal(call(MASKED), call(np.ma.asarray(GAPPY)))
    assert np.abs(call(MASKED)).max() < 1e6


def test_a_masked_integer_is_missing_and_not_its_fill_value() -> None:
    counts = np.ma.masked_equal(np.array([5, 6, -999, 8] * 8, np.int16), -999)
    result = cwt(counts, 1.0)
    assert result.coefs.dtype == np.complex128
    assert np.abs(result.coefs).max() < 10
    assert result.mask[0, 2]


@pytest.mark.parametrize(
    ("dtype", "coefs"),
    [(">f4", np.complex64), (">f8", np.complex128), ("f2", np.complex128), (">i2", np.complex128)],
)
def test_byte_order_does_not_change_the_precision(dtype: str, coefs: type) -> None:
    result = cwt((100 * X).astype(dtype), 1.0)
    native = cwt((100 * X).astype(np.dtype(dtype).newbyteorder("=")), 1.0)
    assert result.coefs.dtype == coefs
    assert np.array_equal(result.coefs, native.coefs)


def test_streams_take_masked_samples_as_missing() -> None:
    masked, gappy = (
        StreamingCwt(fs_hz=64, fmin_hz=8, fmax_hz=16, hop_s=0.5, quantity="power") for _ in range(2)
    )
    found = masked.push(MASKED) + masked.flush()
    expected = gappy.push(GAPPY) + gappy.flush()
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.mask, other.mask)


def test_streams_take_the_rows_of_a_data_frame_as_samples() -> None:
    options: dict[str, Any] = {"fs_hz": 64, "fmin_hz": 8, "fmax_hz": 16, "hop_s": 0.5}
    framed, plain = (StreamingCwt(channels=2, **options) for _ in range(2))
    samples = np.column_stack([X, Y])
    turned = xr.DataArray(samples.T, dims=["channel", "time"])
    found = framed.push(pd.DataFrame(samples)) + framed.push(turned)
    expected = plain.push(samples) + plain.push(samples)
    assert framed.n_samples == 256
    assert all(np.array_equal(a.values, b.values) for a, b in zip(found, expected, strict=True))


def test_time_is_the_index_of_a_data_frame() -> None:
    frame = pd.DataFrame({"x": X, "y": Y}, index=pd.date_range("2020", periods=128, freq="D"))
    result = cwt(frame, 1.0)
    assert result.coefs.shape == (2, len(result.scales), 128)
    assert np.array_equal(result.coefs[1], cwt(Y, 1.0).coefs)
    assert np.array_equal(cwt(frame["x"], 1.0).coefs, result.coefs[0])
    wide = cwt(frame.T, 1.0, axis=1)
    assert np.array_equal(wide.coefs, result.coefs)


def test_time_is_the_dimension_of_that_name() -> None:
    records = np.stack([X, Y])
    array = xr.DataArray(records.T, dims=["time", "channel"])
    expected = cwt(records, 1.0).coefs
    assert np.array_equal(cwt(array, 1.0).coefs, expected)
    assert np.array_equal(multirate(array, 1.0).full(), multirate(records, 1.0).full())
    assert np.array_equal(cwt(xr.DataArray(records), 1.0).coefs, expected)


def test_pandas_objects_are_not_paired_across_different_indexes() -> None:
    days = pd.date_range("2020", periods=128, freq="D")
    one, other = pd.Series(X, index=days), pd.Series(Y, index=days + pd.Timedelta(days=1))
    with pytest.raises(ValueError, match="indexes differ"):
        wct(one, other, 1.0, sig=False)
    same = wct(one, other.shift(freq="-1D"), 1.0, sig=False)
    assert np.array_equal(same.coherence, wct(X, Y, 1.0, sig=False).coherence)


DAYS = pd.date_range("2020", periods=128, freq="D")
EVEN: dict[str, Any] = {
    "days": DAYS,
    "months": pd.date_range("1900", periods=128, freq="MS"),
    "periods": pd.period_range("1900", periods=128, freq="M"),
    "zones": DAYS.tz_localize("UTC"),
    "numbers": np.arange(128) * 0.25,
    "labels": [f"day {k}" for k in range(128)],
}


@pytest.mark.parametrize("index", EVEN.values(), ids=EVEN)
def test_an_even_index_is_not_warned_of(index: Any) -> None:
    series = pd.Series(X, index=index)
    assert np.array_equal(cwt(series, 1.0).coefs, cwt(X, 1.0).coefs)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (DAYS[::-1], "does not ascend"),
        (np.r_[0:64, 0:64], "does not ascend"),
        (DAYS.delete(5).append(pd.DatetimeIndex(["2021"])), "times the usual one"),
        (np.r_[0:100, 103:131], "steps up to 4 times"),
    ],
)
def test_an_uneven_index_is_reported_with_the_line_of_the_caller(index: Any, message: str) -> None:
    series = pd.Series(X, index=index)
    array = xr.DataArray(X, dims=["time"], coords={"time": index})
    calls: list[Callable[[], object]] = [
        lambda: cwt(series, 1.0),
        lambda: multirate(pd.DataFrame({"x": series}), 1.0),
        lambda: cwt(array, 1.0),
        lambda: ar1(series),
    ]
    for call in calls:
        with pytest.warns(SamplingWarning, match=message) as caught:
            call()
        assert [each.filename for each in caught] == [__file__]


def test_the_masked_array_of_a_variable_of_a_file_keeps_its_mask() -> None:
    class Variable:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return MASKED

    values: Any = Variable()
    assert np.array_equal(real_array("x", values), GAPPY, equal_nan=True)


def test_an_axis_that_is_not_a_number_is_named() -> None:
    with pytest.raises(TypeError, match="axis='time'"):
        cwt(np.stack([X, Y]), 1.0, axis="time")  # type: ignore[arg-type]


def test_masked_coefficients_are_left_out() -> None:
    result = cwt(X, 1.0, 1 / 4)
    masked = np.ma.array(result.coefs, mask=np.zeros(result.coefs.shape, bool))
    masked[3, 60] = np.ma.masked
    rebuilt = icwt(masked, result.scales, 1.0, 1 / 4)
    assert np.flatnonzero(np.isnan(rebuilt)).tolist() == [60]
    average = scale_average(masked, result.scales, 1.0, 1 / 4, (2, 16))
    assert np.flatnonzero(np.isnan(average)).tolist() == [60]
    spectrum, points = global_spectrum(masked)
    assert points[3] == 127
    assert np.isfinite(spectrum).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, "2", 3.0], "x"),
        ([1.0, 2j, None], "x holds 2j of type complex"),
        ([[1.0, 2.0], [3.0]], "cannot use x"),
        (np.array(["2020-01-01"], "datetime64[D]"), "x has dtype datetime64"),
        ([Fraction(1, 2), object()], "x holds <object"),
    ],
)
def test_what_is_not_a_number_is_named(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        real_array("x", values)


@given(arrays(np.int32, 5), arrays(np.bool_, 5))
def test_integers_keep_values_next_to_missing_samples(
    values: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]
) -> None:
    found = plain_array("x", np.ma.array(values, mask=mask))
    assert np.array_equal(found[~mask], values[~mask])
    assert np.isnan(found[mask]).all()
    assert found.dtype == (np.float64 if mask.any() else np.int32)
