"""Cross transform and coherence at frequencies of the caller's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pycwt_mod import Convention, Morlet, Paul, Wavelet, cwt, plan, rednoise, wct, xwt
from pycwt_mod.smoothing import OwnScaleWindow, ScaleBoxcar, even_spacing
from tests.coherence_formula import DELTAJ0, fft_length, fourier_factor, smooth_in_time
from tests.formula import Array, direct

N = 240
X = rednoise(N, 0.5, rng=1)
Y = rednoise(N, 0.5, rng=2) + 0.7 * X
LINEAR = np.linspace(0.45, 0.015, 40)
UNEVEN = np.array([0.3, 0.29, 0.28, 0.2, 0.1, 0.09, 0.05, 0.049, 0.048, 0.02])


def boxcar_by_points(scales: Array, deltaj0: float) -> Array:
    """Return the smoothing matrix: each point of the boxcar counts for the nearest scale.

    Points further from the outermost scales than half of the last step count for none.
    """
    places = np.log2(scales)
    order = np.sort(places)
    low = order[0] - (order[1] - order[0]) / 2
    high = order[-1] + (order[-1] - order[-2]) / 2
    matrix = np.zeros((len(scales), len(scales)))
    for row, place in zip(matrix, places, strict=True):
        points = place + deltaj0 * ((np.arange(8_000) + 0.5) / 8_000 - 0.5)
        inside = points[(points > low) & (points < high)]
        nearest = np.abs(inside[:, None] - places).argmin(axis=1)
        row += np.bincount(nearest, minlength=len(scales)) / 8_000
    return matrix


def formula(freqs: Array, wavelet: Wavelet) -> Array:
    """R² of X and Y at `freqs`, as `tests.coherence_formula` computes it on other scales."""
    scales, length = 1 / (fourier_factor(wavelet) * freqs), fft_length(N, "standard")
    w1, w2 = (direct(v - v.mean(), wavelet, scales, length, "standard") for v in (X, Y))
    rows = np.stack([np.abs(w1) ** 2, np.abs(w2) ** 2, w1 * w2.conj()]) / scales[:, None]
    matrix = boxcar_by_points(scales, DELTAJ0[wavelet])
    s1, s2, cross = (matrix @ each for each in smooth_in_time(rows, scales, length))
    return np.asarray(np.abs(cross) ** 2 / (s1.real * s2.real))


@pytest.mark.parametrize("wavelet", [Morlet(), Paul()], ids=["morlet", "paul"])
@pytest.mark.parametrize("freqs", [LINEAR, LINEAR[::-1], UNEVEN], ids=["down", "up", "uneven"])
def test_coherence_is_that_of_the_formula_at_any_frequencies(freqs: Array, wavelet: Any) -> None:
    found = wct(X, Y, 1.0, wavelet=wavelet, freqs=freqs, sig=False)
    assert np.array_equal(found.freqs, freqs)
    assert found.coherence == pytest.approx(formula(freqs, wavelet), abs=1e-3)
    waves = [cwt(v, 1.0, wavelet=wavelet, freqs=freqs).coefs for v in (X, Y)]
    difference = found.phase - np.angle(waves[0] * waves[1].conj())
    assert np.abs(np.sin(difference)).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize(("dj", "sig"), [(1 / 12, False), (1 / 4, True), (1.0, False)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_geometric_series_of_frequencies_has_the_coherence_of_its_scales(
    convention: Convention, dj: float, sig: bool, turned: bool
) -> None:
    options: dict[str, Any] = {"convention": convention, "mc_count": 4, "rng": 1, "sig": sig}
    expected = wct(X, Y, 1.0, dj, **options)
    order = slice(None, None, -1 if turned else 1)
    found = wct(X, Y, 1.0, freqs=expected.freqs[order], **options)
    assert found.coherence == pytest.approx(expected.coherence[order], abs=1e-9)
    assert found.smoothed == pytest.approx(expected.smoothed[:, order], abs=1e-9)
    if sig:
        assert found.signif == pytest.approx(expected.signif[order], abs=0.002, nan_ok=True)
        assert found.signif.standard_error.shape == found.freqs.shape  # type: ignore[attr-defined]


def test_shuffled_frequencies_have_the_rows_of_the_sorted_ones() -> None:
    order = np.random.default_rng(1).permutation(len(LINEAR))
    batch = np.stack([X, Y])
    for analysis in (plan(N, 1.0, freqs=LINEAR), plan(N, 1.0, freqs=LINEAR, dtype=np.float32)):
        mixed = plan(N, 1.0, freqs=LINEAR[order], dtype=analysis.dtype)
        found, expected = mixed.wct(batch, batch[::-1]), analysis.wct(batch, batch[::-1])
        assert np.array_equal(found.coherence, expected.coherence[:, order])
        assert np.array_equal(found.phase, expected.phase[:, order])
        assert np.array_equal(found.smoothed_phase, expected.smoothed_phase[:, order])


def test_the_cross_transform_is_the_product_of_the_transforms() -> None:
    found = xwt(X, Y, 1.0, freqs=UNEVEN, normalize=False)
    first, second = (cwt(v, 1.0, freqs=UNEVEN) for v in (X, Y))
    assert found.cross == pytest.approx(first.coefs * second.coefs.conj())
    assert found.signif.shape == found.freqs.shape == UNEVEN.shape


def test_levels_and_pycwts_convention_need_a_geometric_series() -> None:
    with pytest.raises(ValueError, match="sig=False"):
        wct(X, Y, 1.0, freqs=LINEAR)
    with pytest.raises(ValueError, match="convention='standard'"):
        wct(X, Y, 1.0, freqs=LINEAR, sig=False, convention="pycwt")
    single = wct(X, Y, 1.0, freqs=[0.1], mc_count=2, rng=1)
    assert single.coherence.shape == (1, N)
    equal = wct(X, Y, 1.0, freqs=[0.1, 0.1], sig=False)
    assert equal.coherence == pytest.approx(np.repeat(single.coherence, 2, axis=0))


@pytest.mark.parametrize("dj", [1 / 24, 1 / 12, 1 / 4])
def test_the_boxcar_of_own_scales_is_as_wide_as_said_and_centred(dj: float) -> None:
    scales = 2.0 ** (np.arange(200) * dj)
    first, weights = OwnScaleWindow.of(scales, 0.6).around(100)
    usual = ScaleBoxcar.of(0.6, dj, "standard").weights
    assert sum(weights) == pytest.approx(1)
    assert first + (len(weights) - 1) / 2 == 100
    assert dj / max(weights) == pytest.approx(0.6)
    assert abs(0.6 - dj / max(usual)) < 1.01 * dj  # [f, 1 ... 1, f] is up to a row off
    assert even_spacing(scales) == pytest.approx(dj)
