"""The smoothing that simulations and live windows share, against its definition in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pycwt_mod import DOG, Convention, Morlet, Paul, Wavelet
from pycwt_mod.smoothing import ScaleBoxcar, convolve_in_time, gaussian_filter, powers
from tests import coherence_formula

#: Rounding of FFTs of numbers around 1.
ROUNDING = 1e-12


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.complex128]]:
    rng = np.random.default_rng(1)
    return np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))


@pytest.mark.parametrize("step", [1, 4])
def test_filter_in_time_is_the_normalised_gaussian_of_each_scale(step: int) -> None:
    scales = np.array([0.5, 1.9, 7.0, 60.0, 900.0])
    gauss = gaussian_filter(scales * step, 360, step)
    for row, scale in zip(gauss, scales, strict=True):
        assert np.abs(row - coherence_formula.gaussian_spectrum(scale, 360)).max() < ROUNDING


def test_spectra_are_smoothed_over_the_padding_as_by_a_convolution() -> None:
    scales = np.array([3.0, 40.0])
    waves = noise(2, 2, 200)
    gauss = gaussian_filter(scales, 256)
    power = convolve_in_time(powers(waves), gauss)
    cross = convolve_in_time(waves[0] * waves[1].conj(), gauss)
    expected_power = coherence_formula.smooth_in_time(np.abs(waves) ** 2, scales, 256)
    expected = coherence_formula.smooth_in_time(waves[0] * waves[1].conj(), scales, 256)
    assert np.abs(power - expected_power).max() < ROUNDING
    assert np.abs(cross - expected).max() < ROUNDING


@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2), DOG(6)], ids=repr)
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize("voices", [2, 4, 5, 12])
def test_boxcar_over_scales_is_that_of_the_convention(
    wavelet: Wavelet, convention: Convention, voices: int
) -> None:
    rows, deltaj0 = noise(50, 3), coherence_formula.DELTAJ0[wavelet]
    expected = coherence_formula.smooth_in_scale(rows, deltaj0, 1 / voices, convention)
    boxcar = ScaleBoxcar.of(wavelet.deltaj0, 1 / voices, convention)
    assert np.abs(boxcar.apply(rows, slice(0, 50)) - expected).max() < ROUNDING
    assert np.abs(boxcar.apply(rows, slice(20, 31)) - expected[20:31]).max() < ROUNDING


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize("dj", [1e-12, 5e-324])
def test_scales_that_lie_too_close_are_refused_and_not_allocated(
    dj: float, convention: Convention
) -> None:
    with pytest.raises(ValueError, match="dj"):
        ScaleBoxcar.of(0.6, dj, convention)
