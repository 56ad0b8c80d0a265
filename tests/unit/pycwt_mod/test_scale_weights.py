"""Sums over scales don't depend on the order and the spacing of the scales."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycwt_mod import Morlet, cwt, icwt, rednoise, scale_average, significance, wavelet_power
from pycwt_mod.arrays import octave_widths, scales, spacing_of

FS = 200.0
T = np.arange(2000) / FS
SINE = np.sin(2 * np.pi * 5 * T)
LINEAR = np.linspace(1, 50, 400)
MIDDLE = slice(500, 1500)
ORDERS = [slice(None), slice(None, None, -1), np.random.default_rng(1).permutation(400)]


def gain(rebuilt: np.ndarray[Any, Any]) -> float:
    return float(rebuilt[MIDDLE] @ SINE[MIDDLE] / (SINE[MIDDLE] @ SINE[MIDDLE]))


@pytest.mark.parametrize("order", ORDERS, ids=["ascending", "descending", "shuffled"])
def test_a_sine_is_rebuilt_from_evenly_spaced_frequencies(order: Any) -> None:
    result = cwt(SINE, 1 / FS, freqs=LINEAR[order])
    assert gain(icwt(result.coefs, result.scales, 1 / FS)) == pytest.approx(1, abs=0.02)
    variance = scale_average(result.coefs, result.scales, 1 / FS, None, (0, np.inf))
    assert variance[MIDDLE].mean() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("dj", [1 / 4, 1 / 12])
@pytest.mark.parametrize("given_dj", [True, False])
def test_a_geometric_series_has_the_sum_of_torrence_and_compo(dj: float, given_dj: bool) -> None:
    result = cwt(SINE, 1 / FS, dj)
    found = icwt(result.coefs, result.scales, 1 / FS, dj if given_dj else None)
    factor = dj * math.sqrt(1 / FS) / (Morlet().cdelta * math.pi**-0.25)
    expected = factor * (result.coefs.real / np.sqrt(result.scales)[:, None]).sum(axis=0)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    backwards = icwt(result.coefs[::-1], result.scales[::-1], 1 / FS, dj if given_dj else None)
    assert backwards == pytest.approx(found, rel=1e-9, abs=1e-12)


def test_a_selection_of_rows_is_the_sum_of_its_bands() -> None:
    result = cwt(SINE, 1 / FS)
    low, high = result.scales < 0.1, result.scales > 0.4
    parts = [icwt(result.coefs[rows], result.scales[rows], 1 / FS) for rows in (low, high)]
    both = icwt(result.coefs[low | high], result.scales[low | high], 1 / FS)
    assert both == pytest.approx(parts[0] + parts[1], abs=1e-9)


def test_a_spacing_that_contradicts_the_scales_is_named_with_them() -> None:
    result = cwt(SINE, 1 / FS, 1 / 4)
    contradiction = pytest.raises(ValueError, match=r"dj=0.0833333 contradicts .* 0.25 octaves")
    with contradiction:
        icwt(result.coefs, result.scales, 1 / FS, 1 / 12)
    with contradiction:
        scale_average(result.coefs, result.scales, 1 / FS, 1 / 12, (0, np.inf))
    with pytest.raises(ValueError, match=r"dj=0.25 contradicts sj: .*0.00355 to 0.167 octaves"):
        icwt(np.ones((400, 9)), 1 / LINEAR, 1.0, 0.25)
    with pytest.raises(ValueError, match="sj, which has one scale; give dj"):
        icwt(np.ones((1, 9)), [2.0], 1.0)
    with contradiction:
        Morlet().smooth(result.coefs, 1 / FS, 1 / 12, result.scales)
    assert icwt(result.coefs, result.scales.astype(np.float32), 1 / FS, 0.25).shape == T.shape


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_the_level_of_a_band_does_not_depend_on_rows_left_out_elsewhere(convention: Any) -> None:
    # The row at the end of the band counted for half of the gap, but not in `scale_average`.
    scales = 2.0 * 2.0 ** (np.arange(60) / 12)
    options: dict[str, Any] = {"alpha": 0.5, "dof": (2, scales[19]), "convention": convention}
    some = significance(1.0, 1.0, np.delete(scales, slice(20, 40)), 2, **options)
    assert some == pytest.approx(significance(1.0, 1.0, scales, 2, **options))


def test_a_band_of_unordered_scales_is_rebuilt_from_its_own_rows_alone() -> None:
    scales = np.array([4.0, 64.0, 8.0])
    rows = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 5.0]])
    found = icwt(rows, scales, 1.0, scale_range=(4, 8))
    assert found == pytest.approx(icwt(rows[[0, 2]], scales[[0, 2]], 1.0))


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize("order", [slice(None, None, -1), [2, 0, 1, *range(3, 37)]])
def test_the_level_of_an_average_does_not_depend_on_the_order(convention: Any, order: Any) -> None:
    scales = 2.0 ** np.arange(0, 37) ** 0.5  # dense at the top
    options: dict[str, Any] = {"alpha": 0.5, "dof": (2, 16), "convention": convention}
    found = significance(1.0, 1.0, scales[order], 2, **options)
    expected = significance(1.0, 1.0, scales, 2, **options)
    assert found == pytest.approx(expected)
    assert found.signif > 0


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_the_level_of_an_average_over_linear_frequencies_is_exceeded_as_often_as_it_says(
    convention: Any,
) -> None:
    noises = np.stack([rednoise(512, 0.5, rng=seed) for seed in range(150)])
    result = cwt(noises, 1.0, freqs=np.linspace(0.4, 0.02, 60))
    band = (4.0, 20.0)
    found = scale_average(result.coefs, result.scales, 1.0, None, band)[:, 128:384]
    level = significance(
        1 / (1 - 0.5**2), 1.0, result.scales, 2, 0.5, dof=band, convention=convention
    )
    assert (found > level.signif).mean() == pytest.approx(0.05, abs=0.015)


def test_rectified_power_refers_to_the_smallest_scale_in_any_order() -> None:
    result = cwt(SINE, 1 / FS, 1 / 4)
    up = wavelet_power(result.coefs, result.scales, rectified=True)
    down = wavelet_power(result.coefs[::-1], result.scales[::-1], rectified=True)
    assert np.array_equal(down[::-1], up)
    assert up[0] == pytest.approx(np.abs(result.coefs[0]) ** 2)


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=20), st.randoms())
@settings(max_examples=50)
def test_the_widths_of_scales_cover_their_span(scales: list[float], random: Any) -> None:
    distinct = np.unique(np.log2(scales))
    if len(distinct) < 2:
        return
    widths = octave_widths(np.array(scales))
    ends = (distinct[1] - distinct[0] + distinct[-1] - distinct[-2]) / 2
    assert widths.sum() == pytest.approx(distinct[-1] - distinct[0] + ends)
    shuffled = random.sample(range(len(scales)), len(scales))
    assert octave_widths(np.array(scales)[shuffled]) == pytest.approx(widths[shuffled])


@pytest.mark.parametrize("dj", [1 / 12, 0.1, 1.0])
def test_the_spacing_of_a_geometric_series_survives_single_precision_and_gaps(dj: float) -> None:
    scales = (0.7 * 2.0 ** (np.arange(100) * dj)).astype(np.float32)
    assert spacing_of(scales) == pytest.approx(dj, rel=1e-5)
    assert spacing_of(np.delete(scales, [5, 6, 7, 50])[::-1]) == pytest.approx(dj, rel=1e-5)
    assert spacing_of(1 / LINEAR) is None


def test_examples_run() -> None:
    result = doctest.testmod(scales)
    assert result.attempted > 0
    assert result.failed == 0
