"""The lag-1 coefficient: of any series that has one, at any magnitude, with gaps."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycwt_mod import ar1, rednoise, significance, wct, xwt

T = np.linspace(0, 10, 50)


def test_two_pure_sinusoids_have_a_coherence_and_a_level() -> None:
    # Allen & Smith's estimator has no root below 1, which was an error.
    result = wct(np.sin(T), np.cos(T), dt=0.1, dj=1 / 2, mc_count=20, rng=1)
    assert np.isfinite(result.coherence).all()
    assert np.isfinite(result.signif[:4]).all()
    assert result.lag1 is not None
    assert [str(each.estimator) for each in result.lag1] == ["autocorrelation"] * 2


def test_the_fallback_is_the_lag_1_autocorrelation() -> None:
    x = np.sin(T) - np.sin(T).mean()
    g, a, mu2 = found = ar1(np.sin(T))
    assert g == pytest.approx((x[:-1] @ x[1:] / 49) / (x @ x / 50))
    assert a == pytest.approx(np.sqrt((1 - g**2) * np.mean(x**2)))
    assert mu2 == 0
    assert found.estimator == "autocorrelation"


def test_results_report_which_estimator_each_coefficient_is_from() -> None:
    red = rednoise(50, 0.5, rng=1)
    lag1 = xwt(red, np.sin(T), 1.0).lag1
    assert lag1 is not None
    assert (float(lag1[0].g), str(lag1[0].estimator)) == (ar1(red).g, "allen-smith")
    given_lag1 = xwt(np.stack([red, red]), np.stack([T, T]), 1.0, al1=0.5).lag1
    assert given_lag1 is not None
    assert given_lag1[0].estimator.tolist() == ["given", "given"]
    assert given_lag1[1].estimator.tolist() == ["autocorrelation", "autocorrelation"]
    assert wct(red, red, 1.0, sig=False).lag1 is None


@given(
    series=st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=40),
    kind=st.sampled_from(["as it is", "cumulated", "alternating"]),
)
def test_the_coefficient_lies_strictly_between_minus_1_and_1(
    series: list[float], kind: str
) -> None:
    x = np.array(series)
    if kind == "cumulated":
        x = x.cumsum()
    elif kind == "alternating":
        x = np.abs(x) * (-1) ** np.arange(len(x))
    try:
        found = ar1(x)
    except ValueError as error:
        assert "constant" in str(error)  # noqa: PT017 - the only excuse
        return
    assert -1 < found.g < 1
    assert found.a >= 0


def test_a_few_large_neighbours_among_gaps_have_a_coefficient_below_1() -> None:
    # The mean product of neighbours is three times the variance.
    x = np.array([3.0, 3.1] + 7 * [np.nan, -0.9])
    assert 0 < ar1(x).g < 1


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1e-150, 1e150, 1e300])
def test_ar1_does_not_depend_on_the_unit(unit: float) -> None:
    # Squares underflowed or overflowed, and the error was about a trend.
    x = rednoise(300, 0.6, rng=2)
    expected, found = ar1(x), ar1(x * unit)
    tolerance = 1e-3 if unit < 1e-300 else 1e-9  # few bits are left to subnormal numbers
    assert found.g == pytest.approx(expected.g, rel=tolerance)
    assert found.a / unit == pytest.approx(expected.a, rel=tolerance)


@pytest.mark.parametrize("unit", [1e-150, 1e-200, 1e150, 1e200])
def test_a_normalised_cross_transform_does_not_depend_on_the_units(unit: float) -> None:
    x, y = rednoise(100, 0.6, rng=2), rednoise(100, 0.2, rng=3)
    expected, found = xwt(x, y, 1.0), xwt(x * unit, y, 1.0)
    assert found.cross == pytest.approx(expected.cross, rel=1e-9)
    assert found.signif == pytest.approx(expected.signif, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_levels_of_power_scale_with_the_variance_at_any_magnitude(unit: float) -> None:
    x, scales = rednoise(100, 0.6, rng=2), np.array([2.0, 4.0, 8.0])
    expected, found = significance(x, 1.0, scales), significance(x * unit, 1.0, scales)
    assert found.signif / unit / unit == pytest.approx(expected.signif, rel=1e-9)


def test_a_variance_beyond_float64_is_refused_with_the_reason() -> None:
    # At 1e154 the variance is finite, but the level at a scale of 64 was inf, with a warning.
    for unit in (1e-200, 1e154, 1e200):
        with pytest.raises(ValueError, match="out of the range of float64; divide the signal"):
            significance(rednoise(100, 0.6, rng=2) * unit, 1.0, [2.0, 64.0])


def test_a_series_that_is_too_short_or_constant_is_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=r"x needs 4 valid samples.* and has 2; use a longer"):
        ar1([1.0, 2.0])
    with pytest.raises(ValueError, match="y1 is constant; use a signal that varies"):
        wct(np.ones(50), T, 0.1)


def test_missing_samples_count_as_they_do_in_wct() -> None:
    x = rednoise(4000, 0.7, rng=5)
    x[::10] = np.nan
    assert ar1(x).g == pytest.approx(0.7, abs=0.04)
    lag1 = xwt(x, np.nan_to_num(x), 1.0).lag1
    assert lag1 is not None
    assert float(lag1[0].g) == ar1(x).g


def test_the_estimator_survives_pickle_and_copy() -> None:
    found = ar1(np.sin(T))
    assert found._replace(g=0.5).estimator == "autocorrelation"
    assert found._replace(estimator="allen-smith")[:3] == found
    for same in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
        assert same == found
        assert same.estimator == "autocorrelation"
