"""Partial and multiple coherence: identities, levels under the null hypothesis, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pycwt_mod
from pycwt_mod import (
    DOG,
    Morlet,
    MwctResult,
    Paul,
    Wavelet,
    WctResult,
    cwt,
    inside_cone,
    mwct,
    pwct,
    rednoise,
    wct,
    wct_significance,
)
from pycwt_mod.rednoise import red_samples
from tests import coherence_formula
from tests.formula import direct
from tests.thorough import THOROUGH, cases

Array = np.ndarray[Any, np.dtype[Any]]
N, DJ = 300, 1 / 4


def signals(count: int) -> Array:
    """Return signals of which each has a part of the one before."""
    noise = np.stack([rednoise(N, 0.2 * k, rng=k) for k in range(count)])
    return noise + 0.7 * np.roll(noise, 1, axis=0)


X = signals(1)[0]


def matrix(y: Array, wavelet: Wavelet) -> Array:
    """Return the smoothed cross-spectral matrix by the papers' formula, (scales, n, k, k)."""
    length = coherence_formula.fft_length(N, "standard")
    scales = coherence_formula.default_scales(N, DJ, wavelet)
    deltaj0 = coherence_formula.DELTAJ0[wavelet]
    rows = [direct((v - v.mean()) / v.std(), wavelet, scales, length, "standard") for v in y]
    out = np.empty((len(scales), N, len(y), len(y)), np.complex128)
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            product = one * other.conj() / scales[:, None]
            in_time = coherence_formula.smooth_in_time(product, scales, length)
            out[..., i, j] = coherence_formula.smooth_in_scale(in_time, deltaj0, DJ, "standard")
    return out


# The last row is an average over the whole record, which leaves the matrix singular.
ROWS = slice(4, -1)


@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2)], ids=repr)
@pytest.mark.parametrize("given", [1, 2])
def test_partial_coherence_is_that_of_the_inverse_matrix(wavelet: Wavelet, given: int) -> None:
    y = signals(2 + given)
    p = np.linalg.inv(matrix(y, wavelet)[ROWS])
    left = -p[..., 0, 1]
    expected = np.abs(left) ** 2 / (p[..., 0, 0] * p[..., 1, 1]).real

    result = pwct(y[0], y[1], y[2:], 1.0, DJ, wavelet=wavelet, sig=False)

    assert result.coherence[ROWS] == pytest.approx(expected, abs=1e-7)
    turn = np.exp(1j * result.phase[ROWS]) - left / np.abs(left)
    assert np.abs(turn * np.sqrt(expected)).max() < 1e-6
    assert not result.mask[ROWS].any()


@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2)], ids=repr)
@pytest.mark.parametrize("given", [1, 2])
def test_multiple_coherence_is_that_of_the_inverse_matrix(wavelet: Wavelet, given: int) -> None:
    y = signals(1 + given)
    s = matrix(y, wavelet)[ROWS]
    p = np.linalg.inv(s)

    result = mwct(y[0], y[1:], 1.0, DJ, wavelet=wavelet, sig=False)

    expected = 1 - 1 / (s[..., 0, 0] * p[..., 0, 0]).real
    assert result.coherence[ROWS] == pytest.approx(expected, abs=1e-7)


def test_one_given_signal_is_the_formula_of_three_coherences() -> None:
    # Mihanović et al. (2009), eq. 6, with complex coherences.
    x, y, z = (cwt(v, 1.0, DJ) for v in signals(3))

    def complex_coherence(a: Any, b: Any) -> Array:
        result = wct(a, b, sig=False, phase_of="smoothed")
        return np.asarray(np.sqrt(result.coherence) * np.exp(1j * result.phase))

    xy, xz, zy = complex_coherence(x, y), complex_coherence(x, z), complex_coherence(z, y)
    expected = np.abs(xy - xz * zy) ** 2 / ((1 - np.abs(xz) ** 2) * (1 - np.abs(zy) ** 2))

    result = pwct(x, y, z, sig=False)

    assert result.coherence[4:] == pytest.approx(expected[4:], abs=1e-8)


def test_multiple_coherence_with_one_signal_is_coherence() -> None:
    x, y = signals(2)
    expected = wct(x, y, 1.0, DJ, mc_count=20, seed=1)
    result = mwct(x, y, 1.0, DJ, mc_count=20, seed=1)
    assert result.coherence == pytest.approx(expected.coherence, abs=1e-10)
    assert np.array_equal(result.mask, expected.mask)
    # The same noises: R² falls into the neighbouring bin of 0.001 where it is rounded.
    assert result.signif == pytest.approx(expected.signif, abs=2e-3)


def test_order_units_and_precision_make_no_difference() -> None:
    x, y, u, v = signals(4)
    expected = pwct(x, y, [u, v], 1.0, DJ, sig=False)

    p, q, r, s = (cwt(each, 1.0, DJ) for each in (x, y, u, v))
    for result in (
        pwct(x, y, [v, u], 1.0, DJ, sig=False),
        pwct(1e-90 * x, 1e90 * y + 5, [u / 3, -v], 1.0, DJ, sig=False),
        pwct(p, q, [r, s], sig=False),
        pwct(x[None], y[None], [u[None], v[None]], 1.0, DJ, sig=False),
    ):
        assert np.squeeze(result.coherence) == pytest.approx(expected.coherence, abs=1e-9)
        turn = np.exp(1j * np.squeeze(result.phase)) - np.exp(1j * expected.phase)
        assert np.abs(turn * expected.coherence).max() < 1e-8

    turned = pwct(y, x, [u, v], 1.0, DJ, sig=False)
    assert turned.coherence == pytest.approx(expected.coherence, abs=1e-9)
    assert np.exp(1j * turned.phase) == pytest.approx(np.exp(-1j * expected.phase), abs=1e-6)
    a, b, c, d = (each.astype(np.float32) for each in (x, y, u, v))
    single = pwct(a, b, [c, d], 1.0, DJ, sig=False)
    assert single.coherence.dtype == np.float32
    assert single.coherence[4:] == pytest.approx(expected.coherence[4:], abs=1e-4)


def false_positives(statistic: Any, noises: Array, lags: list[float]) -> Array:
    """Return the part of values outside the cone above the 95 % level, per scale."""
    first, second, *others = noises
    if statistic == "partial":
        result: WctResult | MwctResult = pwct(first, second, others, 1.0, 1 / 2, sig=False)
    else:
        result = mwct(first, [second, *others], 1.0, 1 / 2, sig=False)
    scales = 1 / (Morlet().fourier_factor * result.freqs)
    level = wct_significance(
        lags[0], lags[1], 1.0, 1 / 2, scales[0], len(scales) - 1, mc_count=2000, seed=1,
        n=noises.shape[-1], others=lags[2:], statistic=statistic,
    )  # fmt: skip
    valid = ~inside_cone(result.freqs, result.coi)
    rows = valid.any(axis=1)
    above = ((result.coherence > level[:, None]) & valid).sum(axis=(0, 2))
    return np.asarray(100 * above[rows] / (len(first) * valid.sum(axis=1)[rows]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statistic", "lags"),
    [
        ("partial", [0.3, 0.3, 0.3]),
        ("partial", [0.0, 0.9, 0.5, 0.2]),
        ("multiple", [0.3, 0.7, 0.0]),
    ],
)
def test_false_positives_of_unrelated_noises_are_5_percent(
    statistic: Any, lags: list[float]
) -> None:
    rng = np.random.default_rng(5)
    noises = np.stack([red_samples(rng, (cases(6000), 128), g) for g in lags])
    found = false_positives(statistic, noises, lags)
    assert found.mean() == pytest.approx(5, abs=0.5)
    # The standard error at the longest period, a third of the record, is 0.3 or 0.7.
    assert found == pytest.approx(np.full(len(found), 5), abs=1 if THOROUGH else 2)


def test_what_two_signals_share_with_a_third_is_removed() -> None:
    # x = z + noise and y = z + other noise: nothing of their coherence is left.
    rng = np.random.default_rng(7)
    x, y, z = rng.standard_normal((3, 300, 128))
    both = wct(x + 2 * z, y + 2 * z, 1.0, 1 / 2, sig=False)
    assert both.coherence.mean() > 0.65
    found = false_positives("partial", np.stack([x + 2 * z, y + 2 * z, z]), [0.0, 0.0, 0.0])
    assert found.mean() == pytest.approx(5, abs=1)


def test_common_part_independent_of_given_signal_keeps_phase() -> None:
    t = np.arange(N)
    z = rednoise(N, 0.9, rng=1)
    x = np.sin(t / 3) + z + rednoise(N, 0, rng=2) / 5
    y = np.sin(t / 3 - 1) - z + rednoise(N, 0, rng=3) / 5
    result = pwct(x, y, z, 1.0, 1 / 12, sig=False)
    row = int(np.argmin(abs(result.freqs - 1 / (6 * np.pi))))
    assert result.coherence[row, 100:200].min() > 0.9
    assert result.phase[row, 100:200] == pytest.approx(1, abs=0.15)


def test_thresholds_are_those_of_as_many_noises_and_repeatable() -> None:
    y = signals(4)
    result = pwct(y[0], y[1], y[2:], 1.0, DJ, mc_count=20, seed=2)
    options: dict[str, Any] = {"mc_count": 20, "seed": 2, "n": N, "statistic": "partial"}
    assert result.lag1 is not None
    lags = [float(each.g) for each in result.lag1]
    scales = 1 / (Morlet().fourier_factor * result.freqs)
    expected = wct_significance(
        lags[0], lags[1], 1.0, DJ, scales[0], len(scales) - 1, others=lags[2:], **options
    )
    assert np.array_equal(result.signif, expected)
    given = pwct(y[0], y[1], y[2:], 1.0, DJ, mc_count=20, seed=2, lag1=lags)
    assert np.array_equal(given.signif, result.signif)
    assert given.lag1 is not None
    assert str(given.lag1[3].estimator) == "given"


def test_a_signal_and_its_copy_leave_a_singular_matrix_which_is_masked() -> None:
    x, y, z = signals(3)
    results: list[WctResult | MwctResult] = [
        pwct(x, y, [z, 2 * z + 1], 1.0, DJ, sig=False),
        pwct(x, z, z, 1.0, DJ, sig=False),
        mwct(x, [z, -z], 1.0, DJ, sig=False, deltaj0=1.0),
        mwct(x, 3 * x, 1.0, DJ, sig=False),
    ]
    for result in results:
        assert result.mask.all()
        assert not result.coherence.any()
    copies = pwct(x, x, z, 1.0, DJ, sig=False)  # what is left of both is the same
    assert copies.coherence == pytest.approx(1)
    assert not copies.mask.any()


def test_missing_and_constant_stretches_of_a_given_signal_mask_the_result() -> None:
    x, y, z = signals(3)
    whole = pwct(x, y, z, 1.0, DJ, sig=False)
    z = z.copy()
    z[140:160] = np.nan
    gap = pwct(x, y, z, 1.0, DJ, sig=False)
    assert gap.mask[8, 150]
    assert not gap.mask[8, 20]
    assert np.isfinite(gap.coherence).all()
    assert gap.coherence[8, :40] == pytest.approx(whole.coherence[8, :40], abs=1e-3)
    z[150:] = 2.0
    flat = pwct(x, y, z, 1.0, DJ, sig=False)
    assert flat.mask[4, 290]
    assert flat.coherence[4, 290] == flat.phase[4, 290] == 0
    with pytest.raises(ValueError, match=r"given\[1\] is constant"):
        pwct(x, y, [z, np.ones(N)], 1.0, sig=False)


def test_more_signals_than_the_smoothing_carries_are_refused_with_the_level() -> None:
    y = signals(5)
    with pytest.raises(ValueError, match=r"cannot use 3 given signals.* 0\.9[56].*deltaj0"):
        mwct(y[0], y[1:4], 1.0, DJ, sig=False)
    wide = mwct(y[0], y[1:4], 1.0, DJ, mc_count=20, seed=1, deltaj0=1.8)
    narrow = mwct(y[0], y[1], 1.0, DJ, mc_count=20, seed=1)
    assert wide.signif[8] < narrow.signif[8] + 0.1
    with pytest.raises(ValueError, match="cannot use 40 given signals"):
        pwct(y[0], y[1], np.random.default_rng(1).standard_normal((40, N)), 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X[:99], r"y1 has shape \(300,\) and given \(99,\)"),
        ([X, X[:99]], r"y1 has shape \(300,\) and given\[1\] \(99,\)"),
        ([], "given"),
        (np.ones((2, 2, N)), "given has shape"),
        (1j * X, "given"),
        (cwt(X, 1.0), "cannot combine given, which have been transformed, with y1, y2"),
    ],
)
def test_wrong_signals_are_named(given: Any, message: str) -> None:
    x, y, _ = signals(3)
    with pytest.raises(ValueError, match=message):
        pwct(x, y, given, 1.0, sig=False)


def test_wrong_options_are_named() -> None:
    x, y, z = signals(3)
    with pytest.raises(ValueError, match="lag1 has 2 coefficients, but there are 3"):
        pwct(x, y, z, 1.0, lag1=[0.1, 0.2])
    with pytest.raises(TypeError, match=r"mwct\(\) got an unexpected keyword argument 'normalise'"):
        mwct(x, [y], 1.0, normalise=True)  # type: ignore[call-arg]
    with pytest.raises(pycwt_mod.NotTabulated, match="partial"):
        pwct(x, y, z, 1.0, method="table")
    with pytest.raises(ValueError, match="deltaj0"):
        pwct(x, y, z, 1.0, deltaj0=0)
    with pytest.raises(ValueError, match="2 others"):
        wct_significance(0, 0, 1.0, 0.5, 2.0, 4, others=[0.1, 0.2])


def test_both_results_are_drawn() -> None:
    x, y, z = signals(3)
    axes = pwct(x, y, z, 1.0, DJ, mc_count=4).plot()
    assert axes.get_ylabel().startswith("Period")
    assert mwct(x, [y], 1.0, DJ, mc_count=4).plot().get_ylabel().startswith("Period")
