"""The engine: sampling steps, interpolation and threads change nothing but the time."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pycwt_mod as ours
from pycwt_mod import DOG, Convention, Morlet, Paul, Wavelet, cwt, multirate, rednoise
from pycwt_mod.engine.filter_bank import Band
from tests.formula import direct, loud_elsewhere, row_error
from tests.thorough import cases

with warnings.catch_warnings():
    # pycwt imports a SciPy namespace that is about to go.
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt as theirs

Array = np.ndarray[Any, np.dtype[Any]]
WAVELETS: list[Wavelet] = [Morlet(), Morlet(40.0), Paul(), DOG(2), DOG(3)]


@pytest.mark.parametrize("n", [3000, 8192, 20_011])
@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_rows_equal_the_direct_formula(n: int, wavelet: Wavelet, convention: Convention) -> None:
    x = rednoise(n, 0.9, rng=n) + 3
    length = ours.plan(n, 1.0, convention=convention).length
    double = cwt(x, 1.0, 1 / 5, wavelet=wavelet, convention=convention)
    single = cwt((x - 3).astype(np.float32), 1.0, 1 / 5, wavelet=wavelet, convention=convention)

    expected = direct(x, wavelet, double.scales, length, convention)
    centred = direct(x - 3, wavelet, double.scales, length, convention)

    # Rows don't know of what a longer FFT does to the step of Morlet's spectrum at zero.
    assert row_error(double.coefs, expected) < (1e-10 if convention == "pycwt" else 1e-8)
    assert row_error(single.coefs, centred) < 1e-5


@pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")
@settings(max_examples=cases(40), deadline=None)
@given(
    n=st.integers(2, 3000),
    s0=st.floats(0.6, 30),
    voices=st.integers(1, 10),
    count=st.integers(0, 25),
    wavelet=st.sampled_from([*WAVELETS, Morlet(5.0), Paul(2), DOG(6)]),
    convention=st.sampled_from(["standard", "pycwt"]),
    single=st.booleans(),
)
def test_any_length_scales_and_precision_agree_with_the_direct_formula(
    n: int, s0: float, voices: int, count: int, wavelet: Wavelet, convention: Convention,
    single: bool,
) -> None:  # fmt: skip
    x = rednoise(n, 0.5, rng=n).astype(np.float32 if single else np.float64)
    found = cwt(x, 1.0, 1 / voices, s0, count, wavelet, convention=convention)
    length = ours.plan(n, 1.0, convention=convention).length
    expected = direct(x.astype(np.float64), wavelet, found.scales, length, convention)

    assert found.coefs.dtype == (np.complex64 if single else np.complex128)
    assert np.allclose(found.scales, s0 * 2 ** (np.arange(count + 1) / voices))
    # Rows beyond the signal's band hold nothing but what the tolerance leaves.
    least = np.abs(expected).max(axis=-1, keepdims=True) + 1e-2 * np.abs(x).max()
    assert (np.abs(found.coefs - expected) < (1e-4 if single else 1e-6) * least).all()


@pytest.mark.parametrize("kind", loud_elsewhere(8))
@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2)], ids=repr)
def test_error_bounds_hold_for_signals_that_are_loud_elsewhere(kind: str, wavelet: Wavelet) -> None:
    x = loud_elsewhere(12_000)[kind]
    double = cwt(x, 1.0, 1 / 3, wavelet=wavelet)
    single = cwt(x.astype(np.float32), 1.0, 1 / 3, wavelet=wavelet)
    expected = direct(x, wavelet, double.scales, ours.plan(len(x), 1.0).length, "standard")
    assert row_error(double.coefs, expected) < 1e-6
    assert row_error(single.coefs, expected) < 1e-4


@pytest.mark.parametrize("n", [5000, 4096])
def test_long_records_agree_with_pycwt(n: int) -> None:
    x = rednoise(n, 0.7, rng=1) + 3
    found = cwt(x, 0.25, convention="pycwt")
    expected = theirs.cwt(x, 0.25)
    assert row_error(found.coefs, expected[0]) < 1e-9
    assert found.fft == pytest.approx(expected[4], rel=1e-9, abs=1e-9)


@settings(max_examples=cases(25), deadline=None)
@given(
    n=st.integers(2, 6000),
    voices=st.integers(1, 12),
    wavelet=st.sampled_from(WAVELETS),
    convention=st.sampled_from(["standard", "pycwt"]),
    single=st.booleans(),
)
def test_multirate_holds_every_step_of_cwt_and_leads_back_to_it(
    n: int, voices: int, wavelet: Wavelet, convention: Convention, single: bool
) -> None:
    x = rednoise(n, 0.5, rng=n).astype(np.float32 if single else np.float64)
    whole = cwt(x, 0.5, 1 / voices, 1.0, 6 * voices, wavelet, convention=convention).coefs
    result = multirate(x, 0.5, 1 / voices, 1.0, 6 * voices, wavelet, convention=convention)

    # Rows beyond the Nyquist frequency hold nothing but what the tolerance leaves.
    least = np.abs(whole).max(axis=-1, keepdims=True) + np.abs(x).max()
    tolerance = (1e-5 if single else 1e-10) * least
    assert (np.abs(result.full() - whole) < tolerance).all()
    for octave in result.octaves:
        rows = np.searchsorted(result.scales, octave.scales)
        shown = whole[rows][:, :: octave.step]
        assert octave.coefs.shape == octave.mask.shape == shown.shape
        assert (np.abs(octave.coefs - shown) < tolerance[rows]).all()


@pytest.mark.parametrize("rtol", [1e-3, 1e-5, 1e-8])
def test_rtol_decides_on_the_band_and_on_the_error(rtol: float) -> None:
    x = rednoise(20_000, 0.0, rng=1)
    exact = cwt(x, 1.0, 1 / 4)
    found = multirate(x, 1.0, 1 / 4, rtol=rtol)
    band = Band.of(Morlet(), rtol, "standard")

    radius = np.sqrt(-2 * np.log(rtol))
    assert (band.low, band.high) == (max(0, 6 - radius), 6 + radius)
    for octave in found.octaves[2:]:
        needed = 2 * np.pi * octave.scales[0] / (band.high - band.low)
        assert octave.step <= needed < 4 * octave.step
    error = row_error(found.full(), exact.coefs)
    assert 1e-3 * rtol < error < 10 * rtol
    assert row_error(cwt(x, 1.0, 1 / 4, rtol=rtol).coefs, exact.coefs) < 10 * rtol


def test_multirate_time_and_memory_are_linear() -> None:
    points = [
        sum(octave.coefs.size for octave in multirate(np.arange(n) % 7.0, 1.0).octaves)
        for n in (4000, 32_000)
    ]
    assert points[1] / points[0] == pytest.approx(8, rel=0.1)
    assert points[1] < 25 * 32_000
    with pytest.raises(ValueError, match=r"octaves.*\d bytes"):
        multirate(np.arange(32_000) % 7.0, 1.0, max_bytes=points[1] * 16)


def test_threads_change_no_bit() -> None:
    x = rednoise(6000, 0.5, rng=1)
    one, two = cwt(x, 1.0), cwt(x, 1.0, workers=2)
    assert np.array_equal(one.coefs, two.coefs)
    assert np.array_equal(multirate(x, 1.0).full(), multirate(x, 1.0, workers=2).full(workers=2))


def test_plan_serves_concurrent_signals_and_threads() -> None:
    signals = [rednoise(4000, 0.5, rng=k) for k in range(6)]
    analysis = ours.plan(4000, 0.5, 1 / 6)

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda x: analysis.cwt(x).coefs, signals))

    for x, found in zip(signals, together, strict=True):
        assert np.array_equal(found, cwt(x, 0.5, 1 / 6).coefs)
    batch = analysis.cwt(np.stack(signals, axis=1), axis=0).coefs
    assert row_error(batch[3], together[3]) < 1e-12
    halves = multirate(np.stack(signals), 0.5, 1 / 6)
    assert row_error(halves.full()[2], together[2]) < 1e-10


def test_plan_refuses_wrong_length_and_options() -> None:
    analysis = ours.plan(100, 1.0)
    with pytest.raises(ValueError, match=r"\b99\b.*\b100\b"):
        analysis.cwt(np.arange(99.0))
    with pytest.raises(ValueError, match="workers=0"):
        analysis.cwt(np.arange(100.0), workers=0)
    with pytest.raises(ValueError, match="dtype=int64"):
        ours.plan(100, 1.0, dtype=np.int64)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rtol=2"):
        ours.plan(100, 1.0, rtol=2)
    with pytest.raises(ValueError, match=r"octaves.*\d bytes"):
        multirate(np.arange(100.0), 1.0, max_bytes=10_000)
    with pytest.raises(ValueError, match=r"full matrix.*\d bytes"):
        multirate(np.arange(100.0), 1.0).full(max_bytes=1000)


def test_gaps_are_masked_in_every_octave() -> None:
    x = rednoise(3000, 0.5, rng=1)
    x[1500] = np.nan
    whole = cwt(x, 0.5)
    result = multirate(x, 0.5)
    for octave in result.octaves:
        rows = np.searchsorted(result.scales, octave.scales)
        assert np.array_equal(octave.mask, whole.mask[rows][:, :: octave.step])
