"""Convention "pycwt" against pycwt itself, over the whole plane, edges included."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import pycwt_mod as ours

with warnings.catch_warnings():
    # pycwt imports a SciPy namespace that is about to go.
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt as theirs

PAIRS: list[tuple[ours.Wavelet, Any]] = [
    (ours.Morlet(), theirs.Morlet(6)),
    (ours.Morlet(8.0), theirs.Morlet(8)),
    (ours.DOG(2), theirs.DOG(2)),
    (ours.DOG(3), theirs.DOG(3)),
    (ours.DOG(6), theirs.DOG(6)),
    (ours.MexicanHat(), theirs.MexicanHat()),
]
Rows = np.ndarray[Any, np.dtype[Any]]


def series(n: int, g: float, seed: int) -> Rows:
    return ours.rednoise(n, g, rng=seed)


def row_error(found: Rows, expected: Rows) -> float:
    worst = np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)
    return float(worst.max())


@pytest.mark.parametrize("n", [500, 512, 777])
@pytest.mark.parametrize(("mine", "peer"), PAIRS, ids=lambda w: repr(w)[:20])
def test_cwt(mine: ours.Wavelet, peer: Any, n: int) -> None:
    x = series(n, 0.7, 1) + 3.0
    found = ours.cwt(x, 0.25, 1 / 8, wavelet=mine, convention="pycwt")
    expected = theirs.cwt(x, 0.25, 1 / 8, wavelet=peer)
    assert row_error(found.coefs, expected[0]) < 1e-9
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-12)


def test_cwt_of_paul_where_pycwt_does_not_overflow() -> None:
    x = series(500, 0.7, 1)
    found = ours.cwt(x, 1.0, 1 / 8, 2.0, 40, "paul", convention="pycwt")
    expected = theirs.cwt(x, 1.0, 1 / 8, 2.0, 40, "paul")
    assert found.coefs.shape == (41, 500)
    assert row_error(found.coefs, expected[0]) < 1e-9


def test_custom_frequencies() -> None:
    freqs = np.array([0.3, 0.11, 0.05])
    x = series(300, 0.5, 4)
    found = ours.cwt(x, 1.0, freqs=freqs, convention="pycwt")
    assert row_error(found.coefs, theirs.cwt(x, 1.0, freqs=freqs)[0]) < 1e-9


def test_icwt() -> None:
    result = ours.cwt(series(300, 0.5, 4), 1.0, convention="pycwt")
    found = ours.icwt(result.coefs, result.scales, 1.0)
    expected = theirs.icwt(result.coefs, result.scales, 1.0)
    assert found == pytest.approx(expected.real, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("normalize", [True, False])
def test_xwt(normalize: bool) -> None:
    a, b = series(500, 0.6, 1) + 2, series(500, 0.3, 2)
    found = ours.xwt(a, b, 0.5, normalize=normalize, convention="pycwt")
    expected = theirs.xwt(a, b, 0.5, normalize=normalize)
    assert row_error(found.cross, expected[0]) < 1e-9
    for x, y in zip(found[1:], expected[1:], strict=True):
        assert x == pytest.approx(y, rel=1e-9)


@pytest.mark.parametrize(("n", "dj"), [(500, 1 / 12), (512, 1 / 4), (300, 1 / 10)])
@pytest.mark.parametrize("normalize", [True, False])
def test_wct(n: int, dj: float, normalize: bool) -> None:
    a, b = series(n, 0.6, 1), series(n, 0.3, 2)
    b += 0.4 * a
    peer = theirs.Morlet(6)
    found = ours.wct(a, b, 0.5, dj, sig=False, normalize=normalize, convention="pycwt")
    expected = theirs.wct(a, b, 0.5, dj, sig=False, normalize=normalize, wavelet=peer)
    assert row_error(found.coherence, expected[0]) < 1e-9
    # The phase is a circle: -π and π are one.
    turn = np.exp(1j * found.phase) - np.exp(1j * expected[1])
    assert np.abs(turn).max() < 1e-9
    assert found.coi == pytest.approx(expected[2])
    assert found.freqs == pytest.approx(expected[3])


def test_significance_of_a_variance() -> None:
    scales = 2.0 ** np.arange(1, 6)
    for test, dof in ((0, -1), (2, [4.0, 16.0])):
        peer: dict[str, Any] = {"sigma_test": test, "alpha": 0.6, "dof": dof}
        found = ours.significance(1.7, 0.5, scales, **peer, convention="pycwt")
        expected = theirs.significance(1.7, 0.5, scales, **peer, wavelet=theirs.Morlet(6))
        assert found.signif == pytest.approx(expected[0])
        assert found.fft_theor == pytest.approx(expected[1])


def test_ar1_and_its_spectrum() -> None:
    x = series(400, 0.8, 3)
    assert tuple(ours.ar1(x)) == pytest.approx(theirs.ar1(x), rel=1e-9)
    freqs = np.linspace(0, 0.5, 11)
    assert ours.ar1_spectrum(freqs, 0.4) == pytest.approx(theirs.ar1_spectrum(freqs, 0.4))


@pytest.mark.slow
def test_monte_carlo_levels_agree_within_sampling_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # pycwt filters its noise along an axis of length one, so that its red noise is white
    # whatever the coefficients: its levels are those of AR(1) = 0.
    np.random.seed(7)  # noqa: NPY002 - pycwt knows the global generator alone
    expected = theirs.wct_significance(
        0.5, 0.5, 1.0, 1 / 4, 2.0, 12, wavelet=theirs.Morlet(6), mc_count=200,
        progress=False, cache=False,
    )  # fmt: skip
    capsys.readouterr()
    found = ours.wct_significance(
        0.0, 0.0, 1.0, 1 / 4, 2.0, 12, mc_count=2000, convention="pycwt", rng=1
    )
    assert np.isnan(found[-1])
    assert np.isnan(expected[-1])
    assert found.standard_error is not None
    # pycwt's own error: a tenth of the pairs.
    error = 4 * np.hypot(found.standard_error, np.sqrt(10) * found.standard_error)[:-1]
    assert (np.abs(np.asarray(found - expected)[:-1]) < error + 0.004).all()
