"""Coherence and cross spectra of transforms that exist equal those of their signals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pycwt_mod import DOG, Convention, CwtResult, Morlet, Paul, Wavelet, cwt, rednoise, wct, xwt

Array = np.ndarray[Any, np.dtype[Any]]
N = 400


def pair(kind: str = "float64") -> tuple[Array, Array]:
    x = rednoise(N, 0.6, rng=1)
    return (x - x.mean()).astype(kind), (x + rednoise(N, 0.2, rng=2)).astype(kind)


def broken(kind: str = "float64") -> tuple[Array, Array]:
    """Return a pair with a gap, and with a disconnected electrode."""
    x, y = pair(kind)
    x[60:75] = np.nan
    y[200:] = 3.0
    return x, y


@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2)], ids=repr)
# In single precision, the transform of a step hides what follows it.
@pytest.mark.parametrize(
    ("signals", "kind"), [(pair, "float64"), (broken, "float64"), (pair, "float32")]
)
def test_coherence_of_transforms_is_that_of_the_signals(
    signals: Any, wavelet: Wavelet, kind: str
) -> None:
    x, y = signals(kind)
    axis: dict[str, Any] = {"dt": 0.5, "dj": 1 / 4, "wavelet": wavelet}
    expected = wct(x, y, **axis, sig=False, phase_of="smoothed")

    result = wct(cwt(x, **axis), cwt(y, **axis), sig=False, phase_of="smoothed")

    tol = 1e-9 if kind == "float64" else 2e-4
    assert result.coherence.dtype == kind
    assert result.coherence == pytest.approx(expected.coherence, abs=tol)
    assert result.smoothed == pytest.approx(expected.smoothed, abs=tol)
    assert np.array_equal(result.mask, expected.mask)
    assert np.array_equal(result.freqs, expected.freqs)
    assert result.dt == expected.dt


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_cross_spectra_of_transforms_are_those_of_the_signals(convention: Convention) -> None:
    x, y = broken()
    x, y = x - np.nanmean(x), y - y.mean()  # pycwt's cwt keeps a mean, its xwt does not
    expected = xwt(x, y, 0.5, 1 / 4, convention=convention)

    a, b = (cwt(v, 0.5, 1 / 4, convention=convention) for v in (x, y))
    result = xwt(a, b)

    assert result.cross == pytest.approx(expected.cross, abs=1e-12 * abs(expected.cross).max())
    assert result.signif == pytest.approx(expected.signif)
    assert np.array_equal(result.mask, expected.mask)


def test_transforms_have_the_thresholds_of_their_signals() -> None:
    x, y = pair()
    expected = wct(x, y, 0.5, 1 / 4, mc_count=20, seed=3)
    result = wct(cwt(x, 0.5, 1 / 4), cwt(y, 0.5, 1 / 4), mc_count=20, seed=3)
    assert np.array_equal(result.signif, expected.signif)
    assert repr(result.lag1) == repr(expected.lag1)


def test_transforms_of_batches_and_own_frequencies_in_any_order_are_combined() -> None:
    x, y = (np.stack([v, v[::-1], np.roll(v, 9)]) for v in pair())
    freqs = np.geomspace(0.02, 0.3, 17)[[3, *range(3), *range(16, 3, -1)]]
    expected = wct(x, y, 1.0, freqs=freqs, sig=False, normalize=False)

    result = wct(cwt(x, 1.0, freqs=freqs), cwt(y, 1.0, freqs=freqs), sig=False, normalize=False)

    assert result.coherence.shape == (3, 17, N)
    assert result.coherence == pytest.approx(expected.coherence, abs=1e-9)
    assert result.smoothed == pytest.approx(expected.smoothed, rel=1e-6, abs=1e-9)


def test_changed_coefficients_are_taken_as_they_are() -> None:
    x, y = (cwt(v, 1.0, 1 / 4) for v in pair())
    delayed = y._replace(coefs=y.coefs * np.exp(0.5j))
    before, after = (wct(x, each, sig=False, phase_of="smoothed") for each in (y, delayed))
    assert after.coherence == pytest.approx(before.coherence)
    assert np.exp(1j * (before.phase - after.phase)) == pytest.approx(np.exp(0.5j), abs=1e-9)


def test_units_of_transforms_make_no_difference() -> None:
    x, y = pair()
    expected = wct(x, y, 1.0, 1 / 4, sig=False).coherence
    for normalize in (True, False):
        small, large = cwt(x * 1e-200, 1.0, 1 / 4), cwt(y * 1e200, 1.0, 1 / 4)
        result = wct(small, large, sig=False, normalize=normalize)
        assert result.coherence == pytest.approx(expected, abs=1e-9)


X = cwt(pair()[0], 1.0, 1 / 4)
Y = pair()[1]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (cwt(Y, 2.0, 1 / 4), "y1 has dt 1.0, and y2 2.0"),
        (cwt(Y[:300], 1.0, 1 / 4), r"y1 has a signal of shape \(400,\), and y2 \(300,\)"),
        (cwt(Y, 1.0, 1 / 4, wavelet="paul"), r"y1 has wavelet Morlet.*, and y2 Paul"),
        (cwt(Y, 1.0, 1 / 4, convention="pycwt"), "y1 has convention standard, and y2 pycwt"),
        (cwt(Y, 1.0, 1 / 8), r"y1 has freqs \(32 from 0.5 to .*\), and y2 \(63 from 0.5"),
        (Y, "cannot combine y1, which have been transformed, with y2"),
        (CwtResult(*cwt(Y, 1.0, 1 / 4)), "y2 has no origin"),
        (X._replace(coefs=X.coefs[:, :9]), r"y2 has coefs of shape \(32, 9\)"),
    ],
)
def test_transforms_that_do_not_match_are_refused_with_what_differs(
    other: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        wct(X, other, sig=False)
    with pytest.raises(ValueError, match=message):
        xwt(X, other)


@pytest.mark.parametrize(
    "setting", [{"dt": 2.0}, {"dj": 0.1}, {"freqs": [1.0, 2.0]}, {"wavelet": "dog"}, {"s0": 2}]
)
def test_settings_that_transforms_already_have_are_refused(setting: Any) -> None:
    with pytest.raises(ValueError, match=rf"cannot use {next(iter(setting))}="):
        wct(X, X, sig=False, **setting)
    wct(X, X, 1.0, 1 / 4, sig=False, wavelet=Morlet())  # those that they have


def test_signals_need_a_sampling_interval() -> None:
    x, y = pair()
    for function in (wct, xwt):
        with pytest.raises(TypeError, match="dt=None: give"):
            function(x, y)


def test_a_transform_in_single_precision_that_lost_an_octave_is_refused() -> None:
    x, y = pair("float32")
    slow = (x + 1e5 * np.sin(np.arange(N) / 40)).astype("float32")
    with pytest.raises(ValueError, match="cannot use y1 in single precision"):
        wct(cwt(slow, 1.0), cwt(y, 1.0), sig=False)
