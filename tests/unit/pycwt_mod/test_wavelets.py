"""Mother wavelets: the tables of the paper, and integrals that must come out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pycwt_mod import DOG, MexicanHat, Morlet, Paul, Wavelet, wavelet_from_name
from pycwt_mod.wavelets.protocol import reconstruction_factor
from tests.formula import psi_hat

ALL: list[Wavelet] = [Morlet(), Morlet(8.0), Paul(), Paul(2), DOG(), DOG(6), DOG(3), MexicanHat()]


@pytest.mark.parametrize("wavelet", ALL, ids=repr)
def test_energy_is_one_in_time_and_in_frequency(wavelet: Wavelet) -> None:
    t = np.linspace(-200, 200, 400_001)
    f = np.linspace(-60, 60, 120_001)

    in_time = np.trapezoid(np.abs(wavelet.psi(t)) ** 2, t)
    spectrum = np.abs(wavelet.psi_ft(f)) ** 2
    in_frequency = np.trapezoid(spectrum, f)

    assert in_time == pytest.approx(1, abs=1e-5)
    assert in_frequency == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("wavelet", ALL, ids=repr)
def test_psi_ft_is_that_of_tc98_table_1(wavelet: Wavelet) -> None:
    f = np.linspace(-20, 20, 401)
    assert wavelet.psi_ft(f) == pytest.approx(psi_hat(wavelet, f), rel=1e-12, abs=1e-15)


def phase_between_tables(wavelet: Wavelet) -> complex:
    """Return ψ0 over the inverse transform of ψ̂0: a constant phase that TC98 table 1 leaves."""
    if isinstance(wavelet, Paul):
        return complex(1j**wavelet.m)
    return -1 if isinstance(wavelet, DOG) and wavelet.m % 2 else 1


@pytest.mark.parametrize("wavelet", ALL, ids=repr)
def test_psi_is_the_inverse_transform_of_psi_ft(wavelet: Wavelet) -> None:
    f = np.linspace(-60, 60, 60_001)
    for t in (0.0, 0.7, -1.3):
        integral = np.trapezoid(wavelet.psi_ft(f) * np.exp(1j * f * t), f) / math.sqrt(2 * math.pi)
        expected = integral * phase_between_tables(wavelet)
        assert complex(wavelet.psi(t)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("wavelet", "psi0", "factor", "cdelta", "gamma", "deltaj0"),
    [
        (Morlet(), 0.751, 1.033, 0.776, 2.32, 0.60),
        (Paul(), 1.079, 1.396, 1.132, 1.17, 1.5),
        (DOG(2), 0.867, 3.974, 3.541, 1.43, 1.4),
        (DOG(6), 0.884, 2.464, 1.966, 1.37, 0.97),
    ],
)
def test_constants_are_those_of_tc98_tables_1_and_2(
    wavelet: Wavelet, psi0: float, factor: float, cdelta: float, gamma: float, deltaj0: float
) -> None:
    assert wavelet.psi0 == pytest.approx(psi0, abs=6e-4)
    assert wavelet.fourier_factor == pytest.approx(factor, abs=6e-4)
    assert (wavelet.cdelta, wavelet.gamma, wavelet.deltaj0) == (cdelta, gamma, deltaj0)
    # Their sum over scales was finite: the limit differs by up to 2.2 % (DOG 2).
    assert reconstruction_factor(wavelet) == pytest.approx(cdelta, rel=0.025)


def test_reconstruction_factor_is_computed_where_no_table_has_it() -> None:
    assert Morlet(8.0).cdelta == pytest.approx(0.5758, abs=1e-3)
    with pytest.raises(ValueError, match="zero at t = 0"):
        _ = DOG(3).cdelta


def test_unpublished_factors_raise_unless_given() -> None:
    with pytest.raises(ValueError, match=r"no deltaj0 .* Morlet\(f0=5"):
        _ = Morlet(5.0).deltaj0
    with pytest.raises(ValueError, match="no gamma"):
        _ = Paul(5).gamma
    assert Morlet(5.0, given_deltaj0=0.7).deltaj0 == 0.7


def test_odd_dog_has_the_sign_of_minus_hermite() -> None:
    # pycwt has (-1)^(m+1) He_m, which is the other way round for odd orders.
    t = np.array([0.5, 1.0])
    expected = -(t**3 - 3 * t) * np.exp(-(t**2) / 2) / math.sqrt(math.gamma(3.5))
    assert DOG(3).psi(t) == pytest.approx(expected)


def test_paul_neither_overflows_nor_loses_its_centre() -> None:
    # exp(+800) at negative frequencies once gave inf * 0 = NaN, and whole rows were dropped.
    assert np.isfinite(Paul().psi_ft(np.array([-800.0, 0.0, 800.0]))).all()
    assert abs(complex(Paul().psi(0.0))) == pytest.approx(1.079, abs=1e-3)


@pytest.mark.parametrize("wavelet", ALL, ids=repr)
def test_support_holds_all_but_the_tolerance(wavelet: Wavelet) -> None:
    radius = wavelet.time_radius(1e-4)
    low, high = wavelet.frequency_band(1e-4)
    t = np.linspace(0, 3 * radius, 5001)
    f = np.linspace(1e-6, 3 * high, 5001)

    size, spectrum = np.abs(wavelet.psi(t)), np.abs(wavelet.psi_ft(f))

    assert (size[t > radius] <= 1.001e-4 * size.max()).all()
    assert (spectrum[(f < low) | (f > high)] <= 1.01e-4 * spectrum.max()).all()


def test_names_select_wavelets() -> None:
    assert wavelet_from_name("morlet", 7) == Morlet(7.0)
    assert wavelet_from_name("paul") == Paul(4)
    assert wavelet_from_name("dog", 6) == DOG(6)
    assert wavelet_from_name("mexicanhat") == MexicanHat()
    assert (Morlet().flambda(), Morlet().sup()) == (Morlet().fourier_factor, math.sqrt(2))


@pytest.mark.parametrize(
    ("name", "param"), [("haar", None), ("mexicanhat", 3), ("paul", 2.5), ("dog", 0), ("morlet", 0)]
)
def test_unknown_wavelets_and_parameters_are_refused(name: str, param: float | None) -> None:
    with pytest.raises(ValueError, match=r"wavelet=|param=|m=|f0="):
        wavelet_from_name(name, param)
