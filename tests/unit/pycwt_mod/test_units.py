"""Coherence depends neither on the signals' units nor on which of them is the stronger one."""

from __future__ import annotations

import numpy as np
import pytest

from pycwt_mod import Morlet, VoiceGrid, cwt, octave_layouts, rednoise, wct, wct_significance
from pycwt_mod.streaming import compute_block
from tests import coherence_formula
from tests.formula import Array

X, Y = rednoise(365, 0.5, rng=1), rednoise(365, 0.5, rng=2)


def low_passed(n: int, rng: np.random.Generator) -> Array:
    """Return noise of unit variance below a twentieth of the Nyquist frequency."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[n // 40 :] = 0
    slow = np.fft.irfft(spectrum, n)
    return np.asarray(slow / slow.std())


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("factor", [1e-300, 1e-150, 1e-8, 1e8, 1e154, 1e300])
def test_units_do_not_change_a_coherence(factor: float, normalize: bool) -> None:
    expected = wct(X, Y, 1.0, sig=False).coherence
    for a, b in ((X * factor, Y), (X, Y * factor), (X * factor, Y * factor)):
        found = wct(a, b, 1.0, sig=False, normalize=normalize)
        assert np.abs(found.coherence - expected).max() < 1e-12


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("factor", [1e-30, 1e-8, 1e-3, 1e8, 1e30])
def test_units_do_not_change_a_coherence_in_single_precision(
    factor: float, normalize: bool
) -> None:
    expected = wct(X, Y, 1.0, sig=False).coherence
    a, b = (X * factor).astype(np.float32), Y.astype(np.float32)
    found = wct(a, b, 1.0, sig=False, normalize=normalize)
    assert np.abs(found.coherence - expected).max() < 1e-4


def test_a_smoothed_cross_spectrum_is_in_the_product_of_the_units() -> None:
    plain = wct(X, Y, 1.0, sig=False, normalize=False).smoothed
    scaled = wct(X * 2.0**40, Y * 2.0**-30, 1.0, sig=False, normalize=False).smoothed
    assert np.array_equal(scaled, plain * 2.0**10)


@pytest.mark.parametrize("level", [1e-1, 1e-2, 3e-3, 1e-3])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_weaker_signal_of_a_row_counts_in_single_precision(level: float, seed: int) -> None:
    """R² at high frequencies, where the first signal has `level` of its amplitude."""
    rng = np.random.default_rng(seed)
    x = (low_passed(4096, rng) + level * rng.standard_normal(4096)).astype(np.float32)
    y = rng.standard_normal(4096).astype(np.float32)
    a, b = x.astype(np.float64), y.astype(np.float64)
    expected = wct(a, b, 1.0, J=30, sig=False)
    found = wct(x, y, 1.0, J=30, sig=False)
    assert found.coherence.dtype == found.phase.dtype == found.smoothed.dtype == np.float32
    assert np.abs(found.coherence - expected.coherence)[:12].max() < 3e-4
    assert np.abs(found.smoothed - expected.smoothed).max() < 1e-5


def test_the_weaker_signal_of_a_row_counts_in_double_precision() -> None:
    rng = np.random.default_rng(1)
    x = low_passed(1024, rng) + 1e-8 * rng.standard_normal(1024)
    y = rng.standard_normal(1024)
    expected = coherence_formula.coherence(x, y, 1 / 4, Morlet(), "standard").r2
    found = wct(x, y, 1.0, 1 / 4, sig=False).coherence
    assert np.abs(found - expected)[:4].max() < 1e-3


def test_a_block_of_a_stream_does_not_depend_on_which_row_is_weak() -> None:
    """Two spectra shared a complex FFT: the rounding of the larger one hid the smaller one."""
    rng = np.random.default_rng(1)
    n = 4096
    x = np.stack([low_passed(n, rng) + 1e-9 * rng.standard_normal(n), rng.standard_normal(n)], 1)
    grid = VoiceGrid(fs_hz=1.0, fmin_hz=0.01, fmax_hz=0.28, voices_per_octave=8, wavelet=Morlet())
    (layout, *_) = octave_layouts(grid, op="wct", hop_s=512, convention="standard", rtol=1e-12)
    s0, J = grid.scales_s[0], grid.n_voices - 1
    expected = wct(x[:, 0], x[:, 1], 1.0, 1 / 8, s0, J, sig=False).coherence
    found = compute_block(
        x, window_first=0, tile_first=1024, grid=grid, layout=layout, op="wct",
        quantity="coherence", convention="standard",
    )  # fmt: skip
    times = 1024 + layout.step * np.arange(found.values.shape[1])
    assert np.abs(found.values - expected[layout.voices][:, times]).max() < 0.02


def test_levels_of_very_red_and_white_noise_are_those_of_white_noise() -> None:
    """At short periods, where the red noise has a millionth of the power of the white one."""
    red, white = (
        wct_significance(g, 0.0, 1.0, 1 / 4, 2.0, 48, mc_count=60, rng=1) for g in (1 - 1e-7, 0.0)
    )
    assert np.abs(red - white)[:8].max() < 0.02


def test_a_transform_that_overflows_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"up to .*e\+307, whose transform is out of the range of float64"
    ):
        cwt(X * 1e307, 1.0)
