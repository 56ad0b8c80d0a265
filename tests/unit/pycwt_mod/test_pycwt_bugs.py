"""Defects of pycwt that this library does not have, one story each."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pycwt_mod import (
    DOG,
    MonteCarloLevels,
    Morlet,
    Paul,
    ar1,
    cwt,
    icwt,
    rednoise,
    significance,
    wct,
    wct_significance,
    xwt,
)


def test_significance_of_an_array_is_that_of_its_variance() -> None:
    # The frequency was divided by n once more, so every level was that of frequency zero.
    x = rednoise(500, 0.7, rng=1)
    scales = 2.0 ** np.arange(1, 6)
    by_array = significance(x, 1.0, scales, alpha=0.7).signif
    by_variance = significance(float(x.var()), 1.0, scales, alpha=0.7).signif
    assert by_array == pytest.approx(by_variance)
    assert by_array[-1] / by_array[0] > 5


@pytest.mark.parametrize("dof", [-1, 50, np.full(5, 50.0)])
def test_time_averaged_significance_takes_any_dof(dof: object) -> None:
    # A scalar crashed, and the theoretical spectrum came back as the level.
    scales = 2.0 ** np.arange(1, 6)
    given = np.array(dof, dtype=float)
    before = given.copy()
    result = significance(1.0, 1.0, scales, 1, alpha=0.5, dof=given)
    assert (given == before).all()
    assert (result.signif > result.fft_theor).all()


def test_red_noise_has_lag_1_coefficient_including_zero() -> None:
    # The filter ran along an axis of length one, and g = 0 called a function that isn't there.
    assert ar1(rednoise(20_000, 0.7, rng=1)).g == pytest.approx(0.7, abs=0.02)
    assert ar1(rednoise(20_000, -0.5, rng=1)).g == pytest.approx(-0.5, abs=0.02)
    assert abs(ar1(rednoise(20_000, 0, rng=1)).g) < 0.03
    assert rednoise(5, 0.5, 2.0, rng=3) == pytest.approx(2 * rednoise(5, 0.5, rng=3))


@pytest.mark.parametrize(
    ("x", "cause"),
    [
        (np.full(100, 3.3), "constant"),
        ([1.0, 2.0, 1.0], "has 3"),
        ([1.0, np.nan, 2.0, np.nan, 1.0, np.nan, 4.0], "2 of them adjacent"),
    ],
)
def test_ar1_names_the_cause_when_there_is_none(x: object, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        ar1(np.asarray(x))


def test_ar1_may_be_given_where_it_cannot_be_estimated() -> None:
    trend = np.arange(200.0)
    other = rednoise(200, 0.2, rng=1)
    assert np.isfinite(xwt(trend, other, 1.0, al1=0.9).signif).all()
    levels = wct(trend, other, 1.0, 1 / 4, al1=0.9, al2=0.2, mc_count=20, rng=1).signif
    assert np.isfinite(levels[:-1]).all()


def test_gaps_leave_an_estimate_of_ar1_within_xwt() -> None:
    x, y = rednoise(4000, 0.8, rng=1), rednoise(4000, 0.1, rng=2)
    full = xwt(x, y, 1.0, 1 / 2)
    x[1000:1010] = np.nan
    gappy = xwt(x, y, 1.0, 1 / 2)
    assert gappy.signif == pytest.approx(full.signif, rel=0.05)
    assert gappy.mask.any()
    assert np.isfinite(gappy.cross).all()


@pytest.mark.filterwarnings("ignore::pycwt_mod.NyquistWarning")
def test_inverse_is_real_and_paul_is_rebuilt_at_full_size() -> None:
    # ψ0(0) of Paul came out twelve times too small.
    x = np.sin(2 * np.pi * np.arange(600) / 40)
    result = cwt(x, 1.0, 1 / 12, 0.3, 120, "paul")
    rebuilt = icwt(result.coefs, result.scales, 1.0, 1 / 12, "paul")
    assert rebuilt.dtype == np.float64
    assert rebuilt[200:400].std() / x[200:400].std() == pytest.approx(1, abs=0.03)


def test_large_scales_of_paul_are_not_dropped() -> None:
    result = cwt(rednoise(1000, 0.5, rng=1), 1.0, 1 / 4, wavelet="paul", convention="pycwt")
    assert len(result.scales) == len(result.coefs)
    assert result.scales[-1] * np.pi > 1000  # where exp overflowed


@pytest.mark.parametrize("wavelet", [Paul(), DOG(2), DOG(6), Morlet(8.0, given_deltaj0=0.5)])
def test_coherence_works_for_every_wavelet_with_a_decorrelation_width(
    wavelet: Paul | DOG | Morlet,
) -> None:
    x, y = rednoise(300, 0.5, rng=1), rednoise(300, 0.5, rng=2)
    result = wct(x, y, 1.0, 1 / 6, wavelet=wavelet, mc_count=20, rng=1)
    assert ((result.coherence >= 0) & (result.coherence <= 1)).all()
    assert result.signif.shape == result.freqs.shape


def test_coherence_without_a_decorrelation_width_is_a_clear_error() -> None:
    x = rednoise(100, 0.5, rng=1)
    with pytest.raises(ValueError, match="deltaj0"):
        wct(x, x, 1.0, wavelet=Morlet(5.0))


def test_coherence_of_a_signal_with_itself_is_one_and_counted() -> None:
    # R² = 1 fell into a bin that didn't exist.
    x = rednoise(300, 0.5, rng=1)
    result = wct(x, x, 1.0, 1 / 4, sig=False)
    assert result.coherence == pytest.approx(1)
    single_scale = wct_significance(0.5, 0.5, 1.0, 2.0, 2.0, 0, mc_count=20, rng=1)
    assert single_scale[0] == pytest.approx(1, abs=0.01) or single_scale[0] < 1


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
def test_coherence_is_symmetric(convention: str) -> None:
    x, y = rednoise(300, 0.5, rng=1), rednoise(300, 0.5, rng=2)
    options = {"sig": False, "convention": convention}
    one = wct(x, y, 1.0, **options)  # type: ignore[arg-type]
    other = wct(y, x, 1.0, **options)  # type: ignore[arg-type]
    assert one.coherence == pytest.approx(other.coherence, rel=1e-9)
    assert one.phase == pytest.approx(-other.phase, abs=1e-9)


def test_coherence_masks_gaps_and_keeps_other_values() -> None:
    x, y = rednoise(500, 0.5, rng=1), rednoise(500, 0.5, rng=2)
    y[300] = np.nan
    result = wct(x, y, 1.0, mc_count=20, rng=1)
    assert np.isfinite(result.coherence).all()
    assert result.mask[0, 300]
    assert not result.mask[0, 350:].any()
    assert wct(x, y, 1.0, sig=False, mask_threshold=None).mask[:, 300].all()


def test_wavelets_by_name_and_a_cache_that_tells_everything_apart() -> None:
    # The name crashed, and the file on disk forgot level, count and order of the wavelet.
    cache: dict[object, MonteCarloLevels] = {}

    def levels(**changes: object) -> MonteCarloLevels:
        options: dict[str, object] = {
            "al1": 0.5, "al2": 0.2, "dt": 1.0, "dj": 0.5, "s0": 2.0, "J": 4,
            "significance_level": 0.95, "wavelet": "morlet", "mc_count": 20,
            "cache": cache, "seed": 1, "convention": "standard",
        }  # fmt: skip
        return wct_significance(**{**options, **changes})  # type: ignore[arg-type]

    levels()
    assert levels().tobytes() == next(iter(cache.values())).tobytes()
    assert len(cache) == 1
    changes = (
        {"al1": 0.6}, {"al2": 0.3}, {"dj": 0.25}, {"s0": 2.5}, {"J": 5}, {"mc_count": 21},
        {"significance_level": 0.9}, {"wavelet": DOG(2)}, {"wavelet": DOG(6)}, {"seed": 2},
        {"convention": "pycwt"},
    )  # fmt: skip
    for change in changes:
        levels(**change)
    assert len(cache) == 1 + len(changes)


ALONE = """
import sys

sys.modules |= dict.fromkeys(["matplotlib", "numba", "pyfftw", "ducc0"])  # not there
import numpy, pycwt_mod

x, y = (pycwt_mod.rednoise(300, 0.5, rng=seed) for seed in (1, 2))
found = pycwt_mod.wct(x, y, 1.0, 1 / 4, mc_count=20, rng=1)
print(found.coherence.tobytes().hex(), found.signif.tobytes().hex())
"""


@pytest.mark.slow
def test_results_do_not_depend_on_optional_packages() -> None:
    # pycwt pads to another length where pyfftw is installed.
    command = [sys.executable, "-c", ALONE]
    alone = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    x, y = (rednoise(300, 0.5, rng=seed) for seed in (1, 2))
    found = wct(x, y, 1.0, 1 / 4, mc_count=20, rng=1)
    assert alone == [found.coherence.tobytes().hex(), found.signif.tobytes().hex()]
