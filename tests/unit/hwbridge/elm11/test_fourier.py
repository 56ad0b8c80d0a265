from __future__ import annotations

import numpy as np
import pytest

from cwt_hwbridge.elm11.fourier import MAX_POINTS, ROOTS, SCALE_BITS, spectrum

SIZES = [8, 64, 1024, MAX_POINTS]


@pytest.mark.parametrize("n", SIZES)
def test_it_is_the_fourier_transform_to_its_rounding(n: int) -> None:
    samples = np.random.default_rng(n).integers(-(2**15), 2**15, n).astype(np.int16)
    found = spectrum(samples) @ [1, 1j] * n / 2**SCALE_BITS
    # A rounding error of 1/√6 in each of n butterflies that feed a point; six times its deviation.
    tolerance = 6 * np.sqrt(n / 6) * n / 2**SCALE_BITS
    assert abs(found - np.fft.rfft(samples)).max() < tolerance


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("value", [-(2**15), 2**15 - 1])
def test_the_largest_samples_stay_within_32_bits(n: int, value: int) -> None:
    found = spectrum(np.full(n, value, np.int16))
    assert found[0].tolist() == [value * 2**SCALE_BITS, 0]


def test_the_factors_are_roots_of_one() -> None:
    exact = np.exp(-2j * np.pi / 2.0 ** np.arange(1, SCALE_BITS + 1))
    assert abs(np.array(ROOTS) @ [1, 1j] / 2**24 - exact).max() < 2**-24
