"""Averages of wavelet power against the papers' numbers and against the variance."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pycwt_mod import Morlet, cwt, icwt, rednoise, significance, spectra
from pycwt_mod.spectra import global_spectrum, inside_cone, scale_average, wavelet_power

DATA = Path(__file__).parents[2] / "data"
#: Half a unit of the third printed digit after the point.
PRINTED = 0.000501


@pytest.fixture(scope="module")
def nino3() -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.loadtxt(DATA / "nino3_sst.csv", skiprows=2)


@pytest.fixture(scope="module")
def fortran() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / "tc98_fortran_nino3.json").read_text())
    return loaded


def test_global_spectrum_and_its_level_are_those_of_torrence_and_compo(
    nino3: np.ndarray[Any, np.dtype[np.float64]], fortran: dict[str, Any]
) -> None:
    rows = np.array(fortran["rows"])
    result = cwt(nino3, 0.25, 0.25, 0.25, 43)
    spectrum, points = global_spectrum(result.coefs)
    level = significance(
        nino3, 0.25, result.scales, 1, alpha=0.72, dof=points - result.scales, convention="pycwt"
    )
    assert spectrum == pytest.approx(rows[:, 6], abs=PRINTED)
    assert level.signif == pytest.approx(rows[:, 7], abs=PRINTED)


def test_all_scales_together_average_to_the_variance_of_torrence_and_compo(
    nino3: np.ndarray[Any, np.dtype[np.float64]], fortran: dict[str, Any]
) -> None:
    result = cwt(nino3, 0.25, 0.25, 0.25, 43)
    variance = scale_average(result.coefs, result.scales, 0.25, 0.25, (0.0, np.inf))
    assert variance.mean() == pytest.approx(fortran["recon_var"], abs=5e-6)


def test_band_of_two_to_eight_years_is_above_its_level_as_in_figure_seven(
    nino3: np.ndarray[Any, np.dtype[np.float64]], fortran: dict[str, Any]
) -> None:
    result = cwt(nino3, 0.25, 0.25, 0.25, 43)
    band = scale_average(result.coefs, result.scales, 0.25, 0.25, (2.0, 6.7272))
    level = significance(
        nino3, 0.25, result.scales, 2, alpha=0.72, dof=[2.0, 6.7272], convention="pycwt"
    )
    exact = significance(nino3, 0.25, result.scales, 2, alpha=0.72, dof=[2.0, 6.7272])
    assert exact.signif == pytest.approx(level.signif, rel=0.01)
    years = 1871 + np.arange(len(nino3)) * 0.25
    assert level.signif == pytest.approx(fortran["scale_avg_sig"], abs=PRINTED)
    # Large El Niños around 1888 and in the 1980s, little from 1920 to 1960.
    assert band[(years > 1880) & (years < 1895)].max() > level.signif
    assert band[(years > 1980) & (years < 1990)].max() > level.signif
    quiet = (years > 1922) & (years < 1937)
    assert (band[quiet] < level.signif).all()


def test_levels_of_averages_are_exceeded_by_red_noise_as_often_as_they_say() -> None:
    scales = Morlet().fourier_factor ** -1 * 2.0 ** np.arange(3, 6, 0.25)
    s0, J = float(scales[0]), len(scales) - 1
    noises = np.stack([rednoise(1024, 0.6, rng=seed) for seed in range(150)])
    coefs = cwt(noises, 1.0, 0.25, s0, J).coefs[..., 256:768]
    variance = 1 / (1 - 0.6**2)
    spectrum, points = global_spectrum(coefs)
    level = significance(variance, 1.0, scales, 1, alpha=0.6, dof=points[0])
    band = scale_average(coefs, scales, 1.0, 0.25, (scales[2], scales[9]))
    limit = significance(variance, 1.0, scales, 2, alpha=0.6, dof=[scales[2], scales[9]])
    above_time = int((spectrum > level.signif).sum())
    above_scale = int((band > limit.signif).sum())
    assert above_time / spectrum.size == pytest.approx(0.05, abs=0.02)
    assert above_scale / band.size == pytest.approx(0.05, abs=0.01)


def test_what_is_masked_does_not_count() -> None:
    coefs = np.ones((2, 4), complex)
    coefs[0, 0] = 100
    mask = np.array([[True, False, False, False], [True, True, True, True]])
    spectrum, points = global_spectrum(coefs, mask)
    assert spectrum[0] == 1
    assert np.isnan(spectrum[1])
    assert points.tolist() == [3, 0]


def test_cone_is_where_the_period_exceeds_the_longest_one_allowed() -> None:
    mask = inside_cone([1.0, 0.25], [0.5, 3.0, 5.0])
    assert mask.tolist() == [[True, False, False], [True, True, False]]


@pytest.mark.parametrize("n", [1000, 1024, 1300])
def test_the_spectrum_of_unit_white_noise_is_1_whatever_the_padding(n: int) -> None:
    # It was divided by the padded length, and so was 0.5 for 1,024 samples.
    noise = np.random.default_rng(n).standard_normal((40, n))
    found = [cwt(noise, 1.0, 1.0, pad_to=pad_to).fft for pad_to in (None, 4096)]
    assert [np.mean(np.abs(fft) ** 2) for fft in found] == pytest.approx([1, 1], abs=0.02)


def test_rectified_peaks_of_equal_sinusoids_are_equal() -> None:
    t = np.arange(4096)
    x = np.sin(2 * np.pi * t / 16) + np.sin(2 * np.pi * t / 256)
    result = cwt(x, 1.0, 1 / 12, 4, 96)
    plain = wavelet_power(result.coefs, result.scales)[:, 2048]
    rectified = wavelet_power(result.coefs, result.scales, rectified=True)[:, 2048]
    assert plain[48:].max() / plain[:48].max() == pytest.approx(16, rel=0.05)
    assert rectified[48:].max() / rectified[:48].max() == pytest.approx(1, rel=0.05)


def test_a_band_is_rebuilt_from_its_scales_alone() -> None:
    t = np.arange(4096)
    fast, slow = np.sin(2 * np.pi * t / 16), np.sin(2 * np.pi * t / 256)
    result = cwt(fast + slow, 1.0, 1 / 12, 2, 108)
    band = (result.scales > 64) & (result.scales < 1024)
    rebuilt = icwt(result.coefs[band], result.scales[band], 1.0, 1 / 12)
    middle = slice(1024, 3072)
    assert np.abs(rebuilt - slow)[middle].max() < 0.02


@pytest.mark.parametrize(
    "call",
    [
        lambda w, s: wavelet_power(w, s[1:]),
        lambda w, s: scale_average(w, s, 1.0, 1.0, (1e3, 1e4)),
        lambda w, s: scale_average(w, s, 0.0, 0.25, (1, 8)),
        lambda w, s: global_spectrum(w, s),
    ],
)
def test_wrong_shapes_and_empty_bands_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"shape|scale_range|dt="):
        call(np.ones((3, 8), complex), np.array([1.0, 2.0, 4.0]))


def test_examples_run() -> None:
    result = doctest.testmod(spectra)
    assert result.attempted > 0
    assert result.failed == 0
