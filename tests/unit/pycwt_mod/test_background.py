"""Levels of wavelet power: exact for broad wavelets, too, and where Nyquist cuts a band."""

from __future__ import annotations

import doctest
from typing import Any, Literal

import numpy as np
import pytest
from scipy.stats import chi2

from pycwt_mod import DOG, Morlet, Paul, Wavelet, cwt, significance, xwt
from pycwt_mod.rednoise import red_samples
from pycwt_mod.significance import background
from pycwt_mod.spectra import scale_average

LAG1 = 0.6
VARIANCE = 1 / (1 - LAG1**2)
PERIODS = np.array([4.0, 8.0, 16.0])
WAVELETS: list[Wavelet] = [Morlet(6), Paul(4), DOG(2)]


def noise(records: int, n: int, seed: int) -> np.ndarray:
    return red_samples(np.random.default_rng(seed), (records, n), LAG1)


@pytest.mark.slow
@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
def test_the_time_average_of_red_noise_exceeds_its_level_in_5_percent(wavelet: Wavelet) -> None:
    # 9 % for Morlet, 57 % for Paul and 81 % for DOG, by the spectrum at the centre frequency.
    result = cwt(noise(3000, 384, 1), 1.0, freqs=1 / PERIODS, wavelet=wavelet)
    average = (np.abs(result.coefs[..., 64:-64]) ** 2).mean(axis=-1)
    level = significance(
        VARIANCE, 1.0, result.scales, 1, alpha=LAG1, dof=256, wavelet=wavelet
    ).signif
    assert (average > level).mean(axis=0) == pytest.approx([0.05] * 3, abs=0.01)


@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
def test_a_coefficient_of_red_noise_exceeds_its_level_in_5_percent(wavelet: Wavelet) -> None:
    periods = np.array([2.0, *PERIODS])
    result = cwt(noise(300, 1024, 2), 1.0, freqs=1 / periods, wavelet=wavelet)
    level = significance(VARIANCE, 1.0, result.scales, alpha=LAG1, wavelet=wavelet)
    power = np.abs(result.coefs[..., 256:-256]) ** 2
    assert (power > level.signif[:, None]).mean(axis=(0, 2)) == pytest.approx([0.05] * 4, abs=0.01)
    assert power.mean(axis=(0, 2)) == pytest.approx(level.fft_theor, rel=0.05)


@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
def test_the_scale_average_of_red_noise_exceeds_its_level_in_5_percent(wavelet: Wavelet) -> None:
    scales = 2.0 * 2.0 ** np.arange(0, 3.25, 0.25)
    freqs = 1 / (wavelet.fourier_factor * scales)
    coefs = cwt(noise(100, 2048, 3), 1.0, freqs=freqs, wavelet=wavelet).coefs[..., 512:-512:4]
    average = scale_average(coefs, scales, 1.0, 0.25, (2, 16), wavelet)
    level = significance(VARIANCE, 1.0, scales, 2, alpha=LAG1, dof=(2, 16), wavelet=wavelet)
    assert (average > level.signif).mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
def test_a_cross_power_of_red_noises_exceeds_its_level_in_5_percent(wavelet: Wavelet) -> None:
    first, second = noise(600, 512, 4), noise(600, 512, 5)
    result = xwt(first, second, 1.0, 1.0, 2.0, 1, al1=LAG1, al2=LAG1, wavelet=wavelet)
    level = result.signif[:, :, None]
    above = np.abs(result.cross[..., 100:-100]) > level
    assert above.mean(axis=(0, 2)) == pytest.approx([0.05] * 2, abs=0.01)


def test_a_single_point_has_the_degrees_of_freedom_of_a_coefficient() -> None:
    scales = np.array([2.0, 8.0, 100.0])
    for wavelet in WAVELETS:
        local = significance(1.0, 1.0, scales, 0, alpha=LAG1, wavelet=wavelet).signif
        averaged = significance(1.0, 1.0, scales, 1, alpha=LAG1, dof=1, wavelet=wavelet).signif
        assert averaged == pytest.approx(local)


@pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")
def test_the_flank_of_a_band_beyond_nyquist_exceeds_its_level_in_5_percent() -> None:
    # Its level was 0, which all of its values exceed.
    freqs = 1 / (Morlet(6).fourier_factor * np.array([0.4, 0.5, 0.6]))
    result = cwt(noise(300, 1024, 6), 1.0, freqs=freqs)
    level = significance(VARIANCE, 1.0, result.scales, alpha=LAG1).signif
    power = np.abs(result.coefs[..., 256:-256]) ** 2
    assert (power > level[:, None]).mean(axis=(0, 2)) == pytest.approx([0.05] * 3, abs=0.01)


@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
@pytest.mark.parametrize("lag1", [-0.9, 0.0, 0.99])
def test_the_mean_power_is_the_integral_over_all_frequencies(wavelet: Any, lag1: float) -> None:
    scales = np.array([0.5, 0.6, 2.0, 30.0])
    omega = np.linspace(0, np.pi, 200_001)
    spectrum = (1 - lag1**2) / (1 + lag1**2 - 2 * lag1 * np.cos(omega))
    density = spectrum * np.abs(wavelet.psi_ft(scales[:, None] * omega)) ** 2
    sides = 1 if wavelet.analytic else 2
    expected = sides * scales * np.trapezoid(density, omega)
    assert background.mean_power(scales, lag1, wavelet) == pytest.approx(expected, rel=1e-3)


def test_an_average_over_scales_beyond_nyquist_has_a_level() -> None:
    level = significance(1.0, 1.0, [0.3, 0.35, 0.4], 2, alpha=LAG1, dof=(0.3, 0.4))
    assert 0 < level.signif < 1e-8


@pytest.mark.parametrize(("test", "dof"), [(0, -1), (1, 500.0), (2, (4.0, 64.0))])
def test_levels_depend_on_no_unit_of_time(test: Literal[0, 1, 2], dof: Any) -> None:
    scales = 2.0 ** np.arange(1, 9, 1 / 32)
    slow = significance(1.0, 1.0, scales, test, alpha=LAG1, dof=dof).signif
    ends = np.multiply(dof, 0.01) if test == 2 else dof
    fast = significance(1.0, 0.01, scales * 0.01, test, alpha=LAG1, dof=ends).signif
    # An average over scales is a variance: it has no unit of time either.
    assert fast == pytest.approx(slow)


def test_pycwts_convention_takes_the_spectrum_at_the_centre_frequency() -> None:
    scales = np.array([4.0, 8.0])
    found = significance(1.0, 1.0, scales, alpha=LAG1, wavelet="paul", convention="pycwt")
    omega = 2 * np.pi / (Paul(4).fourier_factor * scales)
    theory = (1 - LAG1**2) / (1 + LAG1**2 - 2 * LAG1 * np.cos(omega))
    assert found.fft_theor == pytest.approx(theory)
    assert found.signif == pytest.approx(theory * chi2.ppf(0.95, 2) / 2)


def test_examples_run() -> None:
    result = doctest.testmod(background)
    assert result.attempted > 0
    assert result.failed == 0
