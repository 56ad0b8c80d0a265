"""Two signals at once: what is computed at few samples equals what is computed at all."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pycwt_mod as ours
from pycwt_mod import (
    DOG,
    Convention,
    Morlet,
    Paul,
    Wavelet,
    cwt,
    icwt,
    rednoise,
    scale_average,
    significance,
    wct,
    xwt,
)
from pycwt_mod.engine.smoother import end_weights
from tests import coherence_formula
from tests.formula import row_error
from tests.thorough import cases

with warnings.catch_warnings():
    # pycwt imports a SciPy namespace that is about to go.
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt as theirs

Array = np.ndarray[Any, np.dtype[Any]]
WAVELETS: list[Wavelet] = [Morlet(), Paul(), DOG(2)]


def pair(n: int) -> tuple[Array, Array]:
    common = rednoise(n, 0.8, rng=n)
    return common + 5, rednoise(n, 0.3, rng=n + 1) + 0.5 * common


def turn(a: Array, b: Array) -> float:
    """Largest distance of two phases on the circle."""
    return float(np.abs(np.exp(1j * a) - np.exp(1j * b)).max())


@pytest.mark.parametrize(("n", "dj"), [(384, 1 / 2), (2500, 1 / 8), (4096, 1 / 4), (7000, 1 / 5)])
@pytest.mark.parametrize("wavelet", WAVELETS, ids=repr)
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_coherence_equals_the_papers_formula(
    n: int, dj: float, wavelet: Wavelet, convention: Convention
) -> None:
    x, y = pair(n)
    expected = coherence_formula.coherence(x, y, dj, wavelet, convention)

    options: dict[str, Any] = {"sig": False, "wavelet": wavelet, "convention": convention}
    double = wct(x, y, 1.0, dj, **options)
    single = wct(x.astype(np.float32), y.astype(np.float32), 1.0, dj, **options)

    # Rows are exact to rtol, 1e-12 of their maximum in double precision; R² divides by powers
    # below the maximum. In the standard convention, the spectrum of Morlet has a step of
    # exp(-ω0²/2) = 1.5e-8 at zero, which a circle of another length samples differently.
    step = isinstance(wavelet, Morlet) and convention == "standard"
    tolerance = 1e-9 if step else 1e-11
    assert 1 / double.freqs == pytest.approx(
        coherence_formula.fourier_factor(wavelet) * coherence_formula.default_scales(n, dj, wavelet)
    )
    assert np.abs(double.coherence - expected.r2).max() < tolerance
    assert row_error(double.smoothed[0] + 1j * double.smoothed[1], expected.cross) < tolerance
    # A few roundings in most cells; a hundredth lies where powers are far below the maximum.
    eps = float(np.finfo(np.float32).eps)
    off = np.abs(single.coherence - expected.r2)
    assert single.coherence.dtype == single.phase.dtype == np.float32
    assert np.median(off) < 4 * eps
    assert np.quantile(off, 0.99) < 40 * eps


@pytest.mark.parametrize(("n", "dj"), [(500, 1 / 12), (512, 1 / 5), (777, 1 / 4)])
def test_the_formula_in_the_convention_of_pycwt_gives_what_pycwt_gives(n: int, dj: float) -> None:
    x, y = pair(n)
    formula = coherence_formula.coherence(x, y, dj, Morlet(), "pycwt")
    expected = theirs.wct(x, y, 1.0, dj, sig=False, wavelet=theirs.Morlet(6))
    # Both compute every sample of every scale: they differ by the rounding of FFTs.
    assert np.abs(formula.r2 - expected[0]).max() < 1e-12


@pytest.mark.parametrize(("n", "dj"), [(3000, 1 / 12), (4096, 1 / 4), (5001, 1 / 10)])
def test_coherence_of_long_records_agrees_with_pycwt(n: int, dj: float) -> None:
    x, y = pair(n)
    found = wct(x, y, 0.5, dj, sig=False, convention="pycwt")
    expected = theirs.wct(x, y, 0.5, dj, sig=False, wavelet=theirs.Morlet(6))
    assert np.abs(found.coherence - expected[0]).max() < 1e-9
    # Where W1 W2* almost vanishes, its argument is that of a difference of large numbers.
    assert turn(found.phase, expected[1]) < 1e-8


def test_phase_may_be_that_of_the_smoothed_spectrum() -> None:
    x, y = pair(3000)
    plain = wct(x, y, 1.0, 1 / 4, sig=False)
    smooth = wct(x, y, 1.0, 1 / 4, sig=False, phase_of="smoothed")
    assert turn(plain.smoothed_phase, smooth.phase) < 1e-12
    assert np.array_equal(plain.coherence, smooth.coherence)
    assert turn(plain.phase, smooth.phase) > 0.5
    assert turn(plain.phase, np.angle(xwt(x, y, 1.0, 1 / 4).cross)) < 1e-7
    with pytest.raises(ValueError, match="phase_of='rough'"):
        wct(x, y, 1.0, sig=False, phase_of="rough")  # type: ignore[arg-type]


def test_pairs_come_in_batches() -> None:
    x, y = pair(300)
    xs, ys = np.stack([x, x], axis=1), np.stack([y, y], axis=1)
    ys[:, 1] = rednoise(300, 0.1, rng=9)
    cross = xwt(xs, ys, 0.5, 1 / 4, axis=0)
    both = wct(xs, ys, 0.5, 1 / 4, axis=0, mc_count=20, rng=1)
    for k in range(2):
        alone = xwt(xs[:, k], ys[:, k], 0.5, 1 / 4)
        assert cross.cross[k] == pytest.approx(alone.cross)
        assert cross.signif[k] == pytest.approx(alone.signif)
        one = wct(xs[:, k], ys[:, k], 0.5, 1 / 4, mc_count=20, rng=1)
        assert both.coherence[k] == pytest.approx(one.coherence)
        assert both.phase[k] == pytest.approx(one.phase)
        assert both.signif[k] == pytest.approx(np.asarray(one.signif), nan_ok=True)
        assert both.smoothed[:, k] == pytest.approx(one.smoothed)
    with pytest.raises(ValueError, match="y1 has shape"):
        xwt(xs.T, ys.T[0], 1.0)


def test_levels_of_a_coherence_may_be_looked_up_or_simulated_to_a_precision() -> None:
    x, y = pair(2000)
    quick = wct(x, y, 1.0, method="table").signif
    exact = wct(x, y, 1.0, mc_count=20, precision=0.02, rng=1).signif
    assert np.isfinite(exact).all()
    assert np.abs(quick - exact).max() < 0.15


def test_threads_change_no_bit_of_a_coherence() -> None:
    x, y = pair(5000)
    analysis = ours.plan(5000, 1.0)
    one, two = analysis.wct(x, y), analysis.wct(x, y, workers=2)
    with ThreadPoolExecutor(3) as pool:
        more = list(pool.map(lambda _: analysis.wct(x, y).coherence, range(3)))
    assert np.array_equal(one.coherence, two.coherence)
    assert np.array_equal(one.phase, two.phase)
    assert np.array_equal(one.smoothed, two.smoothed)
    assert all(np.array_equal(one.coherence, found) for found in more)
    assert np.array_equal(wct(x, y, 1.0, sig=False).coherence, one.coherence)


def test_coherence_keeps_what_it_knows_when_it_travels_between_processes() -> None:
    x, y = pair(300)
    y[40] = np.nan
    result = wct(x, y, 1.0, sig=False)
    returned = pickle.loads(pickle.dumps(result))
    assert np.array_equal(returned.mask, result.mask)
    assert np.array_equal(returned.smoothed_phase, result.smoothed_phase)


@settings(max_examples=cases(30), deadline=None)
@given(n=st.integers(50, 700), step=st.sampled_from([2, 4, 8]), turns=st.floats(0, 1))
def test_few_samples_sum_to_all_samples(n: int, step: int, turns: float) -> None:
    """Any oscillation within the bandwidth, from the first to the last sample of the record."""
    omega = turns * np.pi / step / 1.6
    weights, before = end_weights(n, step, 1.6, 1e-12)
    places = (np.arange(len(weights)) - before) * step
    few = step * (weights * np.exp(1j * omega * places)).sum()
    assert few == pytest.approx(np.exp(1j * omega * np.arange(n)).sum(), abs=1e-10 * n)


@pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")
def test_bands_of_a_signal_are_rebuilt_and_add_up() -> None:
    x, _ = pair(2000)
    result = cwt(np.stack([x, -x]), 1.0, 1 / 12, 0.5)
    scales = result.scales
    middle = float(np.sqrt(scales[80] * scales[81]))
    whole = icwt(result.coefs, scales, 1.0)
    fast = icwt(result.coefs, scales, 1.0, scale_range=(0, middle))
    slow = icwt(result.coefs, scales, 1.0, scale_range=(middle, np.inf))
    assert whole.shape == (2, 2000)
    assert whole[1] == pytest.approx(-whole[0])
    assert fast + slow == pytest.approx(whole)
    assert np.abs(np.diff(slow[0])).mean() < 0.3 * np.abs(np.diff(fast[0])).mean()
    with pytest.raises(ValueError, match="scale_range="):
        icwt(result.coefs, scales, 1.0, scale_range=(0.1, 0.2))


@pytest.mark.parametrize(("single", "wide"), [(np.float32, np.complex64), (np.float64, complex)])
def test_precision_of_pairs_is_kept(single: type[np.floating[Any]], wide: type) -> None:
    x, y = (each.astype(single) for each in pair(400))
    result = wct(x, y, 1.0, 1 / 4, sig=False)
    cross = xwt(x, y, 1.0, 1 / 4)
    assert cross.cross.dtype == wide
    assert {f.dtype for f in (result.coherence, result.phase, result.smoothed)} == {
        np.dtype(single)
    }
    rebuilt = icwt(cwt(x, 1.0, 1 / 4).coefs, cwt(x, 1.0, 1 / 4).scales, 1.0, 1 / 4)
    assert rebuilt.dtype == single


def test_gaps_of_either_signal_have_their_own_cone() -> None:
    x, y = pair(600)
    x[100], y[400] = np.nan, np.nan
    apart = [cwt(each, 1.0, 1 / 4, mask_threshold=None).mask for each in (x, y)]
    cross = xwt(x, y, 1.0, 1 / 4, mask_threshold=None)
    coherent = wct(x, y, 1.0, 1 / 4, sig=False, mask_threshold=None)
    assert np.array_equal(cross.mask, apart[0] | apart[1])
    assert np.array_equal(coherent.mask, cross.mask)
    assert not cross.mask[0, 200:300].any()
    found = cwt(x, 1.0, 1 / 4)
    average = scale_average(found.coefs, found.scales, 1.0, 1 / 4, (2, 8), mask=found.mask)
    assert np.isnan(average[100])
    assert np.isfinite(average[:80]).all()
    assert significance(x, 1.0, found.scales).signif == pytest.approx(
        significance(pair(600)[0], 1.0, found.scales).signif, rel=0.05
    )


def test_a_plan_gives_the_levels_of_a_cross_transform_and_keeps_those_of_coherence() -> None:
    x, y = pair(400)
    analysis = ours.plan(400, 0.5, 1 / 4)
    mine, face = analysis.xwt(x, y, 0.9, al1=0.5), xwt(x, y, 0.5, 1 / 4, -1, -1, 0.9, al1=0.5)
    assert np.array_equal(mine.signif, face.signif)
    assert mine.signif.shape == analysis.scales.shape
    levels = np.linspace(0.6, 0.7, len(analysis.scales))
    assert np.array_equal(analysis.wct(x, y, signif=levels).signif, levels)
    assert analysis.wct(x, y).signif.tolist() == [0]
