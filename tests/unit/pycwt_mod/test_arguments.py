"""Arguments in every form that scripts pass them, and one sentence about the rest."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cwt_schemas.codec import validated
from cwt_schemas.errors import Unprocessable
from cwt_schemas.query import CwtRequest, SignificanceRequest
from pycwt_mod import (
    Morlet,
    NyquistWarning,
    StreamingCwt,
    VoiceGrid,
    cwt,
    icwt,
    multirate,
    plan,
    rednoise,
    scale_average,
    significance,
    wct,
    wct_significance,
    xwt,
)

with warnings.catch_warnings():
    # pycwt imports a SciPy namespace that is about to go.
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt

X = rednoise(365, 0.5, rng=1)
Y = rednoise(365, 0.5, rng=2)


def test_a_count_of_scales_that_is_not_whole_is_rounded_up_as_in_pycwt() -> None:
    N, dt, dj, s0 = 504, 0.25, 1 / 12, 0.5
    J = np.log2(N * dt / s0) / dj + 18.77  # 114.51
    found = cwt(X, dt, dj, s0, J, convention="pycwt")
    expected = pycwt.cwt(X, dt, dj, s0, J)[1]
    assert len(found.scales) == len(expected) == 116
    assert found.scales == pytest.approx(expected)


@pytest.mark.parametrize("J", [0, 0.5, 3.0, 3.0001, np.int64(7), Fraction(7, 2)])
def test_every_function_has_the_rows_of_arange(J: Any) -> None:
    rows = len(np.arange(0, float(J) + 1))
    assert len(cwt(X, 1.0, 0.5, 2.0, J).scales) == rows
    assert len(multirate(X, 1.0, 0.5, 2.0, J).scales) == rows
    assert len(wct_significance(0.1, 0.1, 1, 0.5, 2.0, J, mc_count=1, rng=1)) == rows


FORMS: list[Callable[[float], Any]] = [
    np.array,
    np.float32,
    Fraction,
    Decimal,
    lambda v: np.array([v]),
    lambda v: np.array([[v]], np.float32),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_number_may_come_in_any_form(form: Callable[[float], Any]) -> None:
    dt, dj, s0, J = form(0.5), form(0.25), form(2.0), form(12.0)
    found, expected = cwt(X, dt, dj, s0, J), cwt(X, 0.5, 0.25, 2.0, 12)
    assert np.array_equal(found.coefs, expected.coefs)
    assert np.array_equal(plan(365, dt, dj, s0, J).scales, expected.scales)
    pair = wct(X, Y, dt, dj, s0, J, mc_count=form(2.0), rng=1)
    assert np.array_equal(pair.signif, wct(X, Y, 0.5, 0.25, 2, 12, mc_count=2, rng=1).signif)
    level = significance(1.0, dt, [2.0], alpha=form(0.5), significance_level=form(0.75))
    assert level.signif == significance(1.0, 0.5, [2.0], alpha=0.5, significance_level=0.75).signif


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("dt=None", lambda: cwt(X, None)),  # type: ignore[arg-type]
        ("dt='1'", lambda: wct(X, Y, "1")),  # type: ignore[arg-type]
        ("dt=Timedelta.*in the unit you choose", lambda: cwt(X, pd.Timedelta("1D"))),
        ("dt=datetime.timedelta", lambda: xwt(X, Y, timedelta(1))),  # type: ignore[arg-type]
        ("dt=np.timedelta64", lambda: plan(9, np.timedelta64(1, "D"))),  # type: ignore[arg-type]
        ("dt=1j", lambda: multirate(X, 1j)),  # type: ignore[arg-type]
        ("dj='a'", lambda: cwt(X, 1.0, "a")),  # type: ignore[arg-type]
        ("s0=None", lambda: cwt(X, 1.0, s0=None)),  # type: ignore[arg-type]
        ("J=None", lambda: cwt(X, 1.0, J=None)),  # type: ignore[arg-type]
        (r"J=array\(\[1, 2\]\)", lambda: cwt(X, 1.0, J=np.array([1, 2]))),  # type: ignore[arg-type]
        ("workers='2'", lambda: cwt(X, 1.0, workers="2")),  # type: ignore[arg-type]
        ("significance_level=None", lambda: xwt(X, Y, 1.0, significance_level=None)),  # type: ignore[arg-type]
        ("rng='a'", lambda: rednoise(5, 0.5, rng="a")),  # type: ignore[arg-type]
        ("seed=0.5", lambda: wct(X, Y, 1.0, rng=0.5)),  # type: ignore[arg-type]
        ("mc_count=None.*a whole number", lambda: wct(X, Y, 1.0, mc_count=None)),  # type: ignore[arg-type]
        ("n_jobs='2'", lambda: wct(X, Y, 1.0, n_jobs="2", backend="joblib")),  # type: ignore[arg-type]
        ("scale_range=8", lambda: icwt(np.ones((2, 9)), [1, 2], 1.0, scale_range=8)),  # type: ignore[arg-type]
        ("scale_range='a'", lambda: icwt(np.ones((2, 9)), [1, 2], 1.0, scale_range=("a", 3))),  # type: ignore[arg-type]
        ("signal .a variance.=None", lambda: significance(None, 1.0, [2.0])),  # type: ignore[arg-type]
        ("al1='x'", lambda: xwt(X, Y, 1.0, al1="x")),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_a_number_is_a_type_error_that_names_the_argument(
    name: str, call: Callable[[], object]
) -> None:
    with pytest.raises(TypeError, match=name):
        call()


def test_the_class_of_a_wavelet_stands_for_its_default_in_streams() -> None:
    morlet: Any = Morlet
    grid = VoiceGrid(fs_hz=64, fmin_hz=4, fmax_hz=8, voices_per_octave=4, wavelet=morlet)
    assert grid.wavelet == Morlet()
    stream = StreamingCwt(fs_hz=64, fmin_hz=4, fmax_hz=8, hop_s=1, wavelet=morlet)
    assert stream.grid.wavelet == Morlet()


def test_numpys_older_generator_gives_a_reproducible_seed() -> None:
    def drawn(seed: int) -> list[float]:
        rng = np.random.RandomState(seed)
        levels = wct_significance(0.5, 0.5, 1, 0.5, 2, 2, mc_count=2, rng=rng)
        return [*levels, *rednoise(3, 0.5, rng=rng), *rednoise(3, 0.5, rng=rng)]

    first = drawn(1)
    assert drawn(1) == first
    assert drawn(2) != first
    assert first[-3:] != first[-6:-3]


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("freqs: 2 of 3 frequencies exceed", lambda: cwt(X, 1.0, freqs=[0.6, 0.1, 0.7])),
        ("freqs: 1 of 1", lambda: multirate(X, 1.0, freqs=[0.6])),
        ("s0=0.5: .* exceed the Nyquist", lambda: wct(X, Y, 1.0, s0=0.5, sig=False)),
        ("s0=0.5: .* exceed the Nyquist", lambda: plan(100, 1.0, s0=0.5)),
    ],
)
def test_rows_beyond_the_nyquist_frequency_are_warned_of_every_time(
    message: str, call: Callable[[], object]
) -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match=message) as caught:
            call()
        assert [each.filename for each in caught] == [__file__]


@pytest.mark.parametrize("wavelet", ["morlet", "paul", "dog", Morlet(20.0)])
def test_default_scales_and_the_nyquist_frequency_itself_are_not_warned_of(wavelet: Any) -> None:
    cwt(X, 0.1, wavelet=wavelet)
    cwt(X, 0.1, wavelet=wavelet, freqs=[5.0, 1.0])


def test_a_result_that_is_too_large_names_multirate() -> None:
    with pytest.raises(ValueError, match="multirate"):
        cwt(X, 1.0, max_bytes=1000)


ROWS = np.ones((3, 9))
RENAMED: list[tuple[str, Callable[..., Any], str, Any]] = [
    ("early", partial(wct, X, Y, 1.0, method="table"), "on_coherence", lambda _: None),
    ("between", partial(icwt, ROWS, [1, 2, 4], 1.0), "scale_range", (1, 2)),
    ("between", partial(scale_average, ROWS, [1, 2, 4], 1.0, 1.0), "scale_range", (1, 2)),
]


@pytest.mark.parametrize(("old", "call", "new", "value"), RENAMED)
def test_an_old_name_works_and_is_warned_of_where_it_is_used(
    old: str, call: Callable[..., Any], new: str, value: object
) -> None:
    with pytest.warns(DeprecationWarning, match=f"{old}=.* use {new}=") as caught:
        found = call(**{old: value})
    assert [each.filename for each in caught] == [__file__]
    for ours, theirs in zip(found, call(**{new: value}), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("old", "call", "new", "value"), RENAMED)
def test_an_old_name_is_refused_alongside_the_new_one(
    old: str, call: Callable[..., Any], new: str, value: object
) -> None:
    with pytest.raises(ValueError, match=f"{old}= and {new}=: give {new}= only"):
        call(**{old: value, new: value})


@pytest.mark.parametrize(("old", "call", "new", "value"), RENAMED)
def test_an_old_name_is_not_in_the_signature(
    old: str, call: Callable[..., Any], new: str, value: object
) -> None:
    del value
    assert new in inspect.signature(call).parameters
    assert old not in inspect.signature(call).parameters


def test_the_coherence_is_passed_on_under_the_old_name_too() -> None:
    seen: list[object] = []
    with pytest.warns(DeprecationWarning, match="on_coherence"):
        wct(X, Y, 1.0, method="table", early=seen.append)  # type: ignore[call-arg]
    assert len(seen) == 1


def test_levels_above_the_nyquist_frequency_are_warned_of() -> None:
    with pytest.warns(NyquistWarning, match=r"s0=0\.25: 2 of 5 frequencies exceed the Nyquist"):
        wct_significance(0.5, 0.5, 0.5, 1, 0.25, 4, mc_count=1, rng=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wct_significance(0.5, 0.5, 1, 0.5, 2, 2, mc_count=1, rng=1, n_jobs=4),
        lambda: wct(X, Y, 1.0, 0.5, 2, 2, mc_count=1, rng=1, n_jobs=4),
    ],
)
def test_jobs_that_a_backend_does_not_run_are_warned_of(call: Callable[[], object]) -> None:
    message = "n_jobs=4 has no effect: backend='sequential'"
    with pytest.warns(UserWarning, match=message) as caught:
        call()
    assert [each.filename for each in caught] == [__file__]


def test_jobs_that_a_table_does_not_need_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="n_jobs=4 has no effect: method='table'"):
        wct_significance(0.5, 0.5, 1, 1 / 4, 2, 24, method="table", n_jobs=4)


def test_requests_may_have_a_count_of_scales_that_is_not_whole() -> None:
    fields = {"data": np.ones(9), "dt": 1.0}
    assert validated(CwtRequest, {**fields, "J": 114.51}).J == 115
    assert [validated(CwtRequest, {**fields, "J": J}).J for J in (-1, -1.0, 0.0)] == [-1, -1, 0]
    level = {"al1": 0.1, "al2": 0.1, "dt": 1.0, "dj": 0.25, "s0": 2.0}
    assert validated(SignificanceRequest, {**level, "J": 2.5}).J == 3
    for wrong in (-0.5, 1e300, float("nan"), "3"):
        with pytest.raises(Unprocessable, match="J"):
            validated(CwtRequest, {**fields, "J": wrong})
