"""A caller's wavelet counts with the values that it has at the call, mutable or not."""

from __future__ import annotations

import copy
import dataclasses
import io
import math
import pickle
import warnings
from collections import deque
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

import pycwt_mod as pm
from pycwt_mod.wavelets import as_wavelet
from tests.formula import direct

with warnings.catch_warnings():
    # pycwt imports a SciPy namespace that is about to go.
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt

X, Y = pm.rednoise(300, 0.5, rng=1), pm.rednoise(300, 0.5, rng=2)


@dataclasses.dataclass
class Gaussian:
    """Morlet as a script for pycwt would write it: mutable, and without a hash."""

    f0: float = 6.0
    deltaj0: float = 0.6
    gamma: float = -1

    def psi_ft(self, f: ArrayLike) -> NDArray[Any]:
        return np.asarray(math.pi**-0.25 * np.exp(-0.5 * (np.asarray(f) - self.f0) ** 2))

    def psi(self, t: ArrayLike) -> NDArray[Any]:
        time = np.asarray(t)
        return np.asarray(math.pi**-0.25 * np.exp(1j * self.f0 * time - time**2 / 2))

    def flambda(self) -> float:
        return 4 * math.pi / (self.f0 + math.sqrt(2 + self.f0**2))

    def coi(self) -> float:
        return 1 / math.sqrt(2)


def power(wavelet: Any, scales: NDArray[Any]) -> NDArray[Any]:
    freqs = 1 / (wavelet.flambda() * scales)
    return np.abs(pm.cwt(X, 1.0, freqs=freqs, wavelet=wavelet).coefs)


@pytest.mark.parametrize("make", [pm.Morlet, Gaussian, pycwt.Morlet])
def test_assigning_f0_after_a_first_call_changes_the_next_answer(make: Any) -> None:
    # The plan of the first call was found again under the same object, with the old f0.
    scales = 2.0 ** np.arange(2, 7)
    wavelet = make(6)
    power(wavelet, scales)

    wavelet.f0 = 8
    found = power(wavelet, scales)

    expected = np.abs(direct(X, pm.Morlet(8), scales, 512, "standard"))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_plan_keeps_the_wavelet_that_it_was_made_with() -> None:
    wavelet = pm.Morlet(6)
    analysis = pm.plan(300, 1.0, wavelet=wavelet)
    wavelet.f0 = 8  # before any table of the plan was built
    assert np.array_equal(analysis.cwt(X).coefs, pm.cwt(X, 1.0, wavelet=pm.Morlet(6)).coefs)
    with pytest.raises(AttributeError, match=r"cannot set f0: .* part of an analysis"):
        analysis.wavelet.f0 = 8  # type: ignore[attr-defined]


def test_a_wavelet_without_a_hash_works_on_every_path() -> None:
    # "unhashable type: 'Gaussian'" wherever tables are cached by wavelet.
    mine: Any = Gaussian()
    axis = (1.0, 1 / 4)

    for one, other in (
        (pm.cwt(X, *axis, wavelet=mine).coefs, pm.cwt(X, *axis).coefs),
        (pm.multirate(X, *axis, wavelet=mine).full(), pm.multirate(X, *axis).full()),
        (pm.xwt(X, Y, *axis, wavelet=mine).cross, pm.xwt(X, Y, *axis).cross),
        (
            pm.wct(X, Y, *axis, wavelet=mine, mc_count=20, rng=1).signif,
            pm.wct(X, Y, *axis, mc_count=20, rng=1).signif,
        ),
        (
            pm.significance(X, 1.0, [2.0, 4.0], wavelet=mine).signif,
            pm.significance(X, 1.0, [2.0, 4.0]).signif,
        ),
    ):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)


def test_a_wavelet_without_a_hash_works_on_live_data_and_with_levels_in_processes() -> None:
    mine: Any = Gaussian()
    bands: dict[str, Any] = {
        "fs_hz": 1.0,
        "fmin_hz": 0.05,
        "fmax_hz": 0.2,
        "hop_s": 64.0,
        "voices_per_octave": 4,
    }
    streams = (pm.StreamingWct(**bands, wavelet=mine), pm.StreamingWct(**bands))
    columns = np.tile(np.stack([X, Y], axis=-1), (4, 1))
    first, second = ([*stream.push(columns), *stream.flush()] for stream in streams)
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert a.values == pytest.approx(b.values, rel=1e-5, abs=1e-7)


def test_thresholds_of_user_wavelet_are_equal_on_every_backend() -> None:
    mine: Any = Gaussian()
    axis = (0.3, 0.3, 1.0, 1 / 2, 2.0, 6)
    here = pm.wct_significance(*axis, wavelet=mine, mc_count=20, rng=1)
    pool = pm.wct_significance(*axis, wavelet=mine, mc_count=20, rng=1, backend="joblib", n_jobs=1)
    assert np.array_equal(here, pool)


def test_a_grid_keeps_the_wavelet_that_it_was_made_with() -> None:
    wavelet = pm.Morlet(6)
    bands: dict[str, Any] = {"fs_hz": 100, "fmin_hz": 1, "fmax_hz": 16, "voices_per_octave": 4}
    grid = pm.VoiceGrid(**bands, wavelet=wavelet)
    wavelet.f0 = 8
    assert grid == pm.VoiceGrid(**bands, wavelet=pm.Morlet(6))
    assert grid.scales_s[0] == pytest.approx(1 / (pm.Morlet(6).fourier_factor * 16))


def test_members_that_an_own_wavelet_lacks_are_derived() -> None:
    found, expected = as_wavelet(Gaussian()), pm.Morlet(6)
    assert (found.analytic, found.dofmin, found.name) == (True, 2, "Gaussian")
    for name in ("fourier_factor", "efolding", "psi0"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))
    assert found.cdelta == pytest.approx(0.776, rel=0.01)
    assert found.time_radius(1e-6) == pytest.approx(expected.time_radius(1e-6), abs=0.01)
    assert found.frequency_band(1e-6) == pytest.approx(expected.frequency_band(1e-6), abs=0.01)
    with pytest.raises(ValueError, match="has no gamma"):
        _ = found.gamma


class Tabulated(Gaussian):
    """Looks its spectrum up in an array that may change."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = np.linspace(0, 16, 641)
        self.table = super().psi_ft(self.grid)

    def psi_ft(self, f: ArrayLike) -> NDArray[Any]:
        return np.asarray(np.interp(np.asarray(f), self.grid, self.table, left=0, right=0))


def test_arrays_of_a_wavelet_are_copied_and_compared_by_content() -> None:
    wavelet: Any = Tabulated()
    before = pm.cwt(X, 1.0, wavelet=wavelet).coefs
    again = as_wavelet(wavelet)
    assert again == as_wavelet(copy.deepcopy(wavelet))

    wavelet.table *= 2

    assert pm.cwt(X, 1.0, wavelet=wavelet).coefs == pytest.approx(2 * before)
    assert again != as_wavelet(wavelet)


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.decimals()
    | st.builds(np.float32, st.floats(width=32))
    | st.builds(np.array, st.lists(st.floats(), max_size=3)),
    lambda inner: st.lists(inner, max_size=3)
    | st.tuples(inner)
    | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    | st.builds(deque, st.lists(inner, max_size=2))
    | st.builds(partial, st.just(max), inner),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(VALUES)
def test_any_value_of_an_attribute_is_recognised_again(value: object) -> None:
    wavelet: Any = Gaussian()
    wavelet.extra = value
    snapshot = as_wavelet(wavelet)
    assert snapshot == as_wavelet(wavelet)
    assert hash(snapshot) == hash(as_wavelet(copy.deepcopy(wavelet)))
    wavelet.extra = [value]
    assert snapshot != as_wavelet(wavelet)


def test_an_attribute_of_the_class_counts_too() -> None:
    class Fixed(Gaussian):
        power = 1.0

        def psi_ft(self, f: ArrayLike) -> NDArray[Any]:
            return super().psi_ft(f) * self.power

    wavelet: Any = Fixed()
    before = pm.cwt(X, 1.0, wavelet=wavelet).coefs
    Fixed.power = 3.0
    assert pm.cwt(X, 1.0, wavelet=wavelet).coefs == pytest.approx(3 * before)


def test_a_wavelet_with_unknowable_values_is_refused_at_the_first_call() -> None:
    wavelet: Any = Gaussian()
    wavelet.log = io.TextIOWrapper(io.BytesIO())
    with pytest.raises(ValueError, match=r"cannot use wavelet=.*can't be copied and compared"):
        pm.cwt(X, 1.0, wavelet=wavelet)


def test_what_an_own_wavelet_lacks_is_named() -> None:
    class Bare:
        def psi_ft(self, f: ArrayLike) -> NDArray[Any]:
            return np.asarray(f)

    with pytest.raises(ValueError, match=r"lacks psi, fourier_factor or flambda\(\), efolding or"):
        pm.cwt(X, 1.0, wavelet=Bare())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [pm.Morlet, Gaussian])
def test_the_class_of_a_wavelet_stands_for_its_default(kind: Any) -> None:
    assert np.array_equal(pm.cwt(X, 1.0, wavelet=kind).coefs, pm.cwt(X, 1.0, wavelet=kind()).coefs)


def test_class_that_is_not_a_wavelet_is_refused() -> None:
    with pytest.raises(ValueError, match="no method psi_ft; give one of"):
        pm.cwt(X, 1.0, wavelet=dict)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (pycwt.Morlet(5), pm.Morlet(5)),
        (pycwt.Paul(6), pm.Paul(6)),
        (pycwt.DOG(3), pm.DOG(3)),
        (pycwt.MexicanHat(), pm.MexicanHat()),
    ],
)
def test_wavelets_of_pycwt_become_the_librarys(theirs: Any, ours: pm.Wavelet) -> None:
    assert as_wavelet(theirs) == ours


def test_factors_assigned_to_a_wavelet_of_pycwt_count_and_stale_ones_do_not() -> None:
    theirs = pycwt.Morlet(6)
    theirs.f0 = 8  # pycwt keeps the factors of f0 = 6
    theirs.deltaj0 = 0.5
    assert as_wavelet(theirs) == pm.Morlet(8, given_deltaj0=0.5)


def test_a_method_set_on_a_wavelet_of_pycwt_counts() -> None:
    theirs = pycwt.Morlet(6)
    theirs.psi_ft = lambda f: 2 * pm.Morlet().psi_ft(f)
    before = pm.cwt(X, 1.0, wavelet=pm.Morlet()).coefs
    assert pm.cwt(X, 1.0, wavelet=theirs).coefs == pytest.approx(2 * before)


def test_factors_can_be_assigned_and_travel_with_copies() -> None:
    wavelet = pm.Morlet(8)
    wavelet.deltaj0 = 0.7
    wavelet.cdelta = 0.6
    twin = pickle.loads(pickle.dumps(copy.copy(wavelet)))
    assert (twin.deltaj0, twin.cdelta) == (0.7, 0.6)
    assert twin == pm.Morlet(8, given_deltaj0=0.7, given_cdelta=0.6)


@pytest.mark.parametrize(
    ("wavelet", "name", "value"),
    [
        (pm.Morlet(), "f0", 0.1),
        (pm.Morlet(), "f0", math.nan),
        (pm.Morlet(), "f0", "six"),
        (pm.Paul(), "m", "four"),
        (pm.Paul(), "m", 2.5),
        (pm.DOG(), "m", 41),
        (pm.MexicanHat(), "m", 3),
        (pm.Morlet(), "deltaj0", -1),
    ],
)
def test_an_assignment_out_of_range_is_refused(wavelet: Any, name: str, value: object) -> None:
    before = copy.copy(wavelet)
    with pytest.raises((ValueError, TypeError), match=f"{name}="):
        setattr(wavelet, name, value)
    assert wavelet == before


def test_an_attribute_or_method_set_on_a_wavelet_of_the_library_counts() -> None:
    wavelet: Any = pm.Morlet()
    before = pm.xwt(X, Y, 1.0, wavelet=wavelet)
    wavelet.dofmin = 1
    after = pm.xwt(X, Y, 1.0, wavelet=wavelet)
    wavelet.psi_ft = lambda f: 2 * pm.Morlet().psi_ft(f)
    twice = pm.xwt(X, Y, 1.0, wavelet=wavelet)

    assert not np.allclose(before.signif, after.signif)
    assert np.array_equal(before.cross, after.cross)
    assert twice.cross == pytest.approx(4 * before.cross)
