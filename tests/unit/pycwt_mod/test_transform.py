"""The transform: invariants first, then the slow formula."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycwt_mod import DOG, Convention, Morlet, Paul, Wavelet, cwt, icwt
from pycwt_mod.engine.filter_bank import FilterBank, fast_length
from tests.formula import direct
from tests.thorough import cases

WAVELETS: list[Wavelet] = [Morlet(), Paul(), DOG(2), DOG(3)]
#: For odd DOG, the signs of ψ0 and ψ̂0 in TC98 table 1 differ.
SIGN: dict[Wavelet, float] = {DOG(3): -1.0}


def noise(n: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")
def test_inverse_rebuilds_the_signal() -> None:
    x = noise(700)
    start = 2 / Morlet().fourier_factor / 4

    result = cwt(x, 1.0, 1 / 24, start, 24 * 11)
    rebuilt = icwt(result.coefs, result.scales, 1.0, 1 / 24)

    inner = slice(100, 600)
    gain = np.dot(rebuilt[inner], x[inner]) / np.dot(x[inner], x[inner])
    assert not np.iscomplexobj(rebuilt)
    assert 0.995 < gain < 1.01
    assert icwt(result.coefs.T, result.scales, 1.0, 1 / 24) == pytest.approx(rebuilt)


@pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")
@pytest.mark.parametrize("wavelet", [Paul(), DOG(2)], ids=repr)
def test_inverse_rebuilds_a_slow_signal_with_other_wavelets(wavelet: Wavelet) -> None:
    t = np.arange(1024)
    x = np.sin(2 * np.pi * t / 32)
    result = cwt(x, 1.0, 1 / 12, 0.25, 120, wavelet)
    rebuilt = icwt(result.coefs, result.scales, 1.0, 1 / 12, wavelet)
    assert rebuilt[300:700] == pytest.approx(x[300:700], abs=0.04)


@pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")
def test_energy_is_conserved() -> None:
    # TC98 eq. 14: the variance is dj dt / (C_δ N) times the sum of |W|²/s.
    x = noise(1024)
    x -= x.mean()
    result = cwt(x, 1.0, 1 / 24, 0.3, 24 * 12)
    power = (np.abs(result.coefs) ** 2).sum(axis=1) / result.scales
    variance = power.sum() / 24 / Morlet().cdelta / len(x)
    assert variance == pytest.approx(x.var(), rel=0.02)


@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
def test_shifted_signal_gives_shifted_coefficients(wavelet: Wavelet) -> None:
    x = np.zeros(512)
    x[200:220] = noise(20)
    x[200:220] -= x[200:220].mean()
    still = cwt(x, 1.0, 1 / 4, 2.0, 12, wavelet, pad_to=2048).coefs
    moved = cwt(np.roll(x, 37), 1.0, 1 / 4, 2.0, 12, wavelet, pad_to=2048).coefs
    assert moved[:, 37:] == pytest.approx(still[:, :-37], abs=1e-10)


@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
def test_impulse_gives_the_wavelet_itself(wavelet: Wavelet) -> None:
    x = np.zeros(512)
    x[256] = 1.0
    x -= x.mean()
    result = cwt(x, 0.5, 1 / 2, 4.0, 4, wavelet, pad_to=4096)
    t = (np.arange(512) - 256) * -0.5
    sign = SIGN.get(wavelet, 1.0)
    for row, s in zip(result.coefs, result.scales, strict=True):
        expected = sign * np.sqrt(0.5 / s) * np.conj(wavelet.psi(t / s))
        assert row[180:330] == pytest.approx(expected[180:330], abs=2e-3)


@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(6)], ids=repr)
def test_sinusoid_peaks_at_its_period(wavelet: Wavelet) -> None:
    x = np.sin(2 * np.pi * np.arange(2048) / 50)
    result = cwt(x, 1.0, 1 / 24, wavelet=wavelet)
    power = (np.abs(result.coefs[:, 800:1200]) ** 2).mean(axis=1)
    period = 1 / result.freqs[power.argmax()]
    assert period == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_direct_formula(wavelet: Wavelet, convention: Convention) -> None:
    """TC98 eq. 2, a sum over all samples for every coefficient, without any FFT."""
    n, dt = 300, 0.25
    x = noise(n)
    x -= x.mean()
    result = cwt(x, dt, 1 / 2, 4 * dt, 6, wavelet, convention=convention)
    index = np.arange(n)
    sign = SIGN.get(wavelet, 1.0)
    lag = (index[None, :] - index[:, None]) * dt
    # The sum and the FFT differ by what lies beyond Nyquist, little from 4 samples on.
    for row, s in zip(result.coefs[2:], result.scales[2:], strict=True):
        kernel = sign * np.sqrt(dt / s) * np.conj(wavelet.psi(lag / s))
        inner = slice(60, 240)
        assert row[inner] == pytest.approx((kernel @ x)[inner], abs=5e-3)


@settings(max_examples=cases(30), deadline=None)
@given(
    n=st.integers(40, 400),
    step=st.sampled_from([1, 2, 4, 8]),
    first=st.floats(3.5, 20),
    which=st.sampled_from(WAVELETS),
)
def test_folded_rows_are_samples_of_the_direct_formula(
    n: int, step: int, first: float, which: Wavelet
) -> None:
    x = noise(n, n)
    x -= x.mean()
    scales = first * 2 ** (np.arange(4) / 4)
    length = fast_length(n, step)
    filters = FilterBank.one_sided(which, scales, length, step, dtype=x.dtype, tol=1e-14)

    rows = filters.samples(np.fft.rfft(x, length)[filters.used_bins])

    expected = direct(x, which, scales, length, "standard")[:, ::step]
    assert rows[:, : expected.shape[1]] == pytest.approx(expected, abs=1e-11)


def test_precision_follows_the_input() -> None:
    x = noise(256)
    single = cwt(x.astype(np.float32), 1.0)
    double = cwt(x, 1.0)
    assert single.coefs.dtype == np.complex64
    assert double.coefs.dtype == np.complex128
    worst = np.abs(single.coefs - double.coefs).max(axis=1)
    assert (worst < 1e-5 * np.abs(double.coefs).max(axis=1)).all()


def test_lists_and_batches_are_accepted() -> None:
    x = np.stack([noise(128, k) for k in range(3)], axis=1)
    batch = cwt(x, 1.0, axis=0)
    alone = cwt(x[:, 2].tolist(), 1.0)
    assert batch.coefs.shape == (3, *alone.coefs.shape)
    assert batch.coefs[2] == pytest.approx(alone.coefs)


@pytest.mark.parametrize("pad_to", [129, 128, 200])
def test_the_spectrum_has_all_positive_frequencies_below_nyquist(pad_to: int) -> None:
    # An odd length has no Nyquist frequency; its highest one was missing.
    x = np.random.default_rng(1).standard_normal(128)
    result = cwt(x, 0.5, pad_to=pad_to)
    freqs = np.fft.rfftfreq(pad_to, 0.5)
    inside = (freqs > 0) & (freqs < 1)
    assert result.fftfreqs == pytest.approx(freqs[inside])
    expected = np.fft.rfft(x - x.mean(), pad_to)[inside] / np.sqrt(128)
    assert result.fft == pytest.approx(expected)


def test_result_unpacks_as_pycwts_six_values() -> None:
    result = cwt(noise(128), 0.5, freqs=[0.1, 0.05])
    coefs, scales, freqs, coi, fft, fftfreqs = result
    assert coefs.shape == (2, 128)
    assert freqs.tolist() == [0.1, 0.05]
    assert scales * Morlet().fourier_factor == pytest.approx(1 / freqs)
    assert (coi.shape, fft.shape) == ((128,), fftfreqs.shape)
    assert result.mask.shape == coefs.shape


def test_missing_samples_are_masked_and_keep_other_values() -> None:
    x = noise(400) + 5
    gappy = x.copy()
    gappy[200:203] = np.nan
    result = cwt(gappy, 0.5, mask_threshold=None)
    s = result.scales
    assert np.isfinite(result.coefs).all()
    assert result.mask[:, 201].all()
    j = int(np.searchsorted(s, 10.0))
    reach = np.flatnonzero(result.mask[j])
    assert 200 - reach[0] == reach[-1] - 202 == int(np.sqrt(2) * s[j] / 0.5)
    whole = cwt(x, 0.5)
    assert result.coefs[3, :100] == pytest.approx(whole.coefs[3, :100], abs=0.02)


def test_a_user_defined_wavelet_works_everywhere() -> None:
    class Own(Morlet):
        """Any object that fits the protocol."""

    x = noise(128)
    assert cwt(x, 1.0, wavelet=Own()).coefs == pytest.approx(cwt(x, 1.0).coefs)


def test_results_keep_their_mask_when_they_travel_between_processes() -> None:
    x = noise(100)
    x[50] = np.nan
    result = cwt(x, 1.0)
    returned = pickle.loads(pickle.dumps(result))
    assert np.array_equal(returned.mask, result.mask)
    assert np.array_equal(returned.coefs, result.coefs)
