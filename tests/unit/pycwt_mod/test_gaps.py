"""Gaps are filled as asked for, and masked by the part of a value's energy that is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.gap_masks import rules
from pycwt_mod import (
    DOG,
    Morlet,
    Paul,
    Wavelet,
    cwt,
    inside_cone,
    multirate,
    plan,
    rednoise,
    wct,
    xwt,
)
from pycwt_mod.arrays import interpolated
from tests.thorough import cases

WAVELETS: list[Wavelet] = [Morlet(), Paul(), DOG(2), DOG(6)]
N = 400


def with_gaps(at: Any, n: int = N, seed: int = 1) -> NDArray[np.float64]:
    x = rednoise(n, 0.7, rng=seed)
    x[at] = np.nan
    return x


def missing_energy(
    missing: NDArray[np.bool_], scales: NDArray[Any], wavelet: Wavelet
) -> NDArray[np.float64]:
    """Sum |ψ|² over missing samples for every value: the definition, without any FFT."""
    lag = np.arange(missing.size)[None, :] - np.arange(missing.size)[:, None]
    rows = []
    for s in scales:
        far = np.arange(-int(20 * s) - 9, int(20 * s) + 10)
        rows.append((np.abs(wavelet.psi(lag / s)) ** 2) @ missing)
        rows[-1] /= (np.abs(wavelet.psi(far / s)) ** 2).sum()
    return np.array(rows)


@settings(max_examples=cases(15), deadline=None)
@given(
    wavelet=st.sampled_from(WAVELETS),
    at=st.lists(st.integers(0, 199), min_size=1, max_size=30),
    run=st.integers(1, 40),
    threshold=st.sampled_from([0.01, 0.05, 0.3]),
    dt=st.sampled_from([1.0, 0.25]),
)
@example(wavelet=DOG(2), at=[0], run=10, threshold=0.01, dt=1.0)
def test_the_mask_is_where_more_than_the_threshold_of_the_energy_is_missing(
    wavelet: Wavelet, at: list[int], run: int, threshold: float, dt: float
) -> None:
    missing = np.zeros(200, np.bool_)
    missing[at] = True
    missing[at[0] : at[0] + run] = True
    x = with_gaps(missing, 200)

    result = cwt(x, dt, 1 / 4, wavelet=wavelet, mask_threshold=threshold)

    energy = missing_energy(missing, result.scales / dt, wavelet)
    # Large rows are computed from averages over an eighth of a scale, and interpolated: between
    # two of these the energy of a real wavelet may fall or rise by more than the threshold.
    slack = 0.25 * threshold + 0.006
    assert result.mask[energy > threshold + slack].all()
    assert not result.mask[energy < threshold - slack].any()


def test_one_missing_sample_masks_short_periods_only() -> None:
    # The cone of every missing sample masked 50 % of these cells, and 83 % at periods over 20.
    rng = np.random.default_rng(0)
    x = with_gaps(rng.random(1000) < 0.01, 1000)
    result, cone = cwt(x, 1.0), cwt(x, 1.0, mask_threshold=None)
    outside = ~inside_cone(result.freqs, result.coi)
    long = outside & (result.freqs < 1 / 20)[:, None]
    assert result.mask[outside].mean() < 0.06
    assert result.mask[long].mean() < 0.02
    assert cone.mask[outside].mean() > 0.4
    assert cone.mask[long].mean() > 0.7


def test_the_error_of_white_noise_is_the_root_of_the_missing_energy() -> None:
    missing = np.zeros(N, np.bool_)
    missing[195:205] = True
    errors, sizes = [], []
    for seed in range(60):
        x = np.random.default_rng(seed).standard_normal(N)
        whole = cwt(x, 1.0, 1 / 2).coefs
        errors.append(np.abs(cwt(np.where(missing, np.nan, x), 1.0, 1 / 2).coefs - whole) ** 2)
        sizes.append(np.abs(whole[:, 100:300]) ** 2)
    energy = missing_energy(missing, plan(N, 1.0, 1 / 2).scales, Morlet())
    measured = np.mean(errors, axis=0) / np.mean(sizes, axis=(0, 2))[:, None]
    assert measured[2:8, 200] == pytest.approx(energy[2:8, 200], rel=0.4)


def test_the_mask_of_coherence_counts_the_smoothing() -> None:
    """Far from a gap the wavelet feels nothing, but the smoothed spectra do."""
    x, y = with_gaps(slice(190, 210)), rednoise(N, 0.5, rng=2)
    alone = cwt(x, 1.0, 1 / 4, mask_threshold=0.02).mask
    result = wct(x, y, 1.0, 1 / 4, sig=False, mask_threshold=0.02)
    middle = slice(4, 12)
    assert (result.mask | ~alone)[middle].all()
    assert result.mask[middle].sum() > 1.3 * alone[middle].sum()


def test_the_mask_of_coherence_is_the_smoothed_energy() -> None:
    n = 200
    missing = np.zeros(n, np.bool_)
    missing[[50, 51, 190]] = missing[120:128] = True
    x, y = with_gaps(missing, n), rednoise(n, 0.5, rng=2)
    result = wct(x, y, 1.0, 1 / 4, sig=False, mask_threshold=0.05)
    scales = cwt(y, 1.0, 1 / 4).scales[:17]

    # Beyond the ends nothing is missing. The boxcar of 0.6 octaves is 2.4 rows wide.
    padded = missing_energy(np.pad(missing, n), scales, Morlet())
    lag = np.arange(-n, n + 1)
    gauss = [np.exp(-((lag / s) ** 2) / 2) for s in scales]
    smooth = [np.convolve(row, g / g.sum(), "same") for row, g in zip(padded, gauss, strict=True)]
    for j in range(4, 15):
        energy = np.average(smooth[j - 2 : j + 3], axis=0, weights=[0.2, 1, 1, 1, 0.2])
        assert result.mask[j][energy[n : 2 * n] > 0.055].all()
        assert not result.mask[j][energy[n : 2 * n] < 0.045].any()


def test_a_sample_missing_in_either_signal_counts() -> None:
    x, y = with_gaps(100), with_gaps(300, seed=2)
    cross, coherent = xwt(x, y, 1.0), wct(x, y, 1.0, sig=False)
    both = cwt(with_gaps([100, 300]), 1.0).mask
    assert np.array_equal(cross.mask, both)
    assert coherent.mask[3, 100]
    assert coherent.mask[3, 300]
    assert not coherent.mask[3, 200]


def test_octaves_have_the_mask_of_the_full_rate_at_their_samples() -> None:
    x = with_gaps([20, 77, *range(200, 230)])
    full = cwt(x, 1.0)
    octaves = multirate(x, 1.0).octaves
    assert {octave.step for octave in octaves} >= {2, 32}
    for octave in octaves:
        rows = np.searchsorted(full.scales, octave.scales)
        # FFTs of another length round otherwise, which may tip a value at the threshold.
        assert np.count_nonzero(full.mask[rows, :: octave.step] != octave.mask) <= 1


def test_scales_far_beyond_the_record_miss_no_energy_in_a_few_samples() -> None:
    x = np.where(np.arange(100) == 50, np.nan, np.arange(100.0))
    mask = cwt(x, 1.0, J=900).mask  # 2^75 samples
    assert np.array_equal(mask[:73], cwt(x, 1.0, J=72).mask)
    assert mask[12].any()
    assert not mask[73:].any()


def test_batches_own_frequencies_and_single_precision_are_masked_alike() -> None:
    x = with_gaps([20, 21, 300])
    batch = cwt(np.stack([rednoise(N, 0.2, rng=3), x]).astype(np.float32), 1.0)
    assert not batch.mask[0].any()
    assert np.array_equal(batch.mask[1], cwt(x, 1.0).mask)
    freqs = cwt(x, 1.0).freqs
    order = np.random.default_rng(0).permutation(len(freqs))
    assert np.array_equal(cwt(x, 1.0, freqs=freqs[order]).mask, cwt(x, 1.0).mask[order])


def test_the_mask_of_coherence_follows_the_order_of_own_frequencies() -> None:
    x, y = with_gaps([20, *range(100, 109)]), rednoise(N, 0.5, rng=2)
    freqs = np.linspace(0.4, 0.05, 20)
    order = np.random.default_rng(0).permutation(20)
    ordered = wct(x, y, 1.0, freqs=freqs, sig=False).mask
    assert 0 < ordered.mean() < 1
    assert np.array_equal(wct(x, y, 1.0, freqs=freqs[order], sig=False).mask, ordered[order])


def test_short_gaps_are_filled_linearly_and_long_ones_with_the_mean() -> None:
    x = np.arange(40.0)
    x[[0, 5, 10, 11, 12, 39]] = np.nan
    short = interpolated(x, np.isnan(x), 2)
    assert short[5] == 5
    assert np.isnan(short[[0, 10, 11, 12, 39]]).all()
    assert interpolated(x, np.isnan(x), 3)[10:13].tolist() == [10, 11, 12]


@pytest.mark.parametrize(("max_gap", "length"), [(None, 4), (2.0, 4), (1.9, 3)])
def test_a_gap_lasts_its_samples_times_dt(max_gap: float | None, length: int) -> None:
    line = 0.1 * np.arange(N) + np.sin(np.arange(N))
    x = line.copy()
    x[100:104] = np.nan
    expected = line.copy()
    expected[100:104] = np.interp(range(100, 104), [99, 104], line[[99, 104]])
    if length == 3:
        expected[100:104] = np.nanmean(x)
    found = cwt(x, 0.5, gap_fill="linear", max_gap=max_gap)
    np.testing.assert_allclose(found.coefs, cwt(expected, 0.5).coefs, atol=1e-9)
    assert found.mask.any()  # what was filled in is an estimate


def test_a_linear_fill_leaves_less_error_in_a_slow_signal() -> None:
    x = np.sin(2 * np.pi * np.arange(N) / 40)
    gappy = x.copy()
    gappy[[80, 150, 151, 250]] = np.nan
    whole = cwt(x, 1.0).coefs
    mean, line = (np.abs(cwt(gappy, 1.0, gap_fill=f).coefs - whole).max() for f in (None, "linear"))
    assert line < 0.05 * mean


def test_a_plan_fills_and_masks_as_the_functions_do() -> None:
    x, y = with_gaps([50, 51, 200]), rednoise(N, 0.5, rng=2)
    options: dict[str, Any] = {"gap_fill": "linear", "max_gap": 3, "mask_threshold": 0.1}
    analysis = plan(N, 1.0)
    pairs: list[tuple[Any, Any]] = [
        (analysis.cwt(x, **options), cwt(x, 1.0, **options)),
        (analysis.xwt(x, y, **options), xwt(x, y, 1.0, **options)),
        (analysis.wct(x, y, **options), wct(x, y, 1.0, sig=False, **options)),
    ]
    for mine, theirs in pairs:
        assert np.array_equal(mine[0], theirs[0])
        assert np.array_equal(mine.mask, theirs.mask)
    octaves = zip(
        analysis.multirate(x, **options).octaves, multirate(x, 1.0, **options).octaves, strict=True
    )
    assert all(np.array_equal(one.mask, other.mask) for one, other in octaves)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"gap_fill": "cubic"}, "gap_fill='cubic' must be None or 'linear'"),
        ({"max_gap": 3}, "max_gap=3 needs gap_fill='linear'"),
        ({"gap_fill": "linear", "max_gap": 0}, "max_gap=0"),
        ({"mask_threshold": 0}, "mask_threshold=0 must be from 0.001"),
        ({"mask_threshold": 1}, "mask_threshold=1 must"),
        ({"mask_threshold": "much"}, "mask_threshold='much'"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], reason: str) -> None:
    for call in (
        lambda: cwt(with_gaps(3), 1.0, **options),
        lambda: wct(with_gaps(3), rednoise(N, 0.5, rng=1), 1.0, sig=False, **options),
        lambda: multirate(with_gaps(3), 1.0, **options),
    ):
        with pytest.raises((TypeError, ValueError), match=reason):
            call()


def test_the_benchmark_shows_less_masked_area_with_larger_thresholds() -> None:
    lines = [line for line in rules("cwt", 300, 1) if line.pattern == "10 gaps of 5"]
    masked = [line.masked for line in lines if line.threshold is not None]
    assert masked == sorted(masked, reverse=True)
    assert all(0 <= error < 1 for line in lines for error in line.errors)
