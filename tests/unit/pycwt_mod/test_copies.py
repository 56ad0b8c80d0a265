"""Copies of results are whole: mask, standard error, seed and the rest come along."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from pycwt_mod import (
    MonteCarloLevels,
    Morlet,
    StreamingWct,
    VoiceGrid,
    ar1,
    assemble,
    compute_block,
    cwt,
    multirate,
    mwct,
    octave_layouts,
    pwct,
    rednoise,
    significance,
    wct,
    wct_significance,
    xwt,
)

X, Y = rednoise(200, 0.5, rng=1), rednoise(200, 0.5, rng=2)
X[50:60] = np.nan
GRID = VoiceGrid(fs_hz=10, fmin_hz=0.5, fmax_hz=2, voices_per_octave=4, wavelet=Morlet())

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda result: pickle.loads(pickle.dumps(result)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
def test_copied_levels_keep_their_error_seed_and_method(way: str) -> None:
    levels = wct_significance(0.5, 0.5, 1.0, 1 / 4, 2.0, 12, mc_count=20, rng=7)

    copied = COPIES[way](levels)

    assert isinstance(copied, MonteCarloLevels)
    assert not np.shares_memory(copied, levels)
    np.testing.assert_array_equal(copied, levels)
    np.testing.assert_array_equal(copied.standard_error, levels.standard_error)
    assert (copied.seed, copied.mc_count, copied.method) == (7, 20, "montecarlo")


def test_levels_derived_by_arithmetic_have_no_standard_error() -> None:
    levels = wct_significance(0.5, 0.5, 1.0, 1 / 4, 2.0, 40, method="table")
    derived: list[Any] = [2 * levels, levels[:3], np.sqrt(levels)]
    assert all(each.standard_error is None for each in derived)


def block() -> Any:
    layout = octave_layouts(GRID, op="wct", hop_s=2, convention="standard")[0]
    return compute_block(
        np.stack([X, Y], axis=1), window_first=0, tile_first=layout.margin, grid=GRID,
        layout=layout, op="wct", quantity="coherence", convention="standard",
    )  # fmt: skip


def live() -> Any:
    stream = StreamingWct(fs_hz=10, fmin_hz=0.5, fmax_hz=2, hop_s=2, level=0.95)
    return stream.push(np.stack([X, Y], axis=1))


#: All kinds of results, and the attributes that are not fields of the tuple.
RESULTS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "cwt": (lambda: cwt(X, 1.0), ("mask",)),
    "xwt": (lambda: xwt(X, Y, 1.0), ("mask",)),
    "wct": (lambda: wct(X, Y, 1.0, mc_count=4, rng=1), ("mask", "smoothed")),
    "pwct": (lambda: pwct(X, Y, Y[::-1], 1.0, mc_count=4, rng=1), ("mask", "smoothed")),
    "mwct": (lambda: mwct(X, Y, 1.0, mc_count=4, rng=1), ("mask",)),
    "significance": (lambda: significance(Y, 1.0, [2.0, 4.0]), ()),
    "ar1": (lambda: ar1(Y), ()),
    "block": (block, ("values", "mask", "phase")),
    "live block": (lambda: live()[0], ("values", "mask", "signif", "octave", "first_sample")),
    "assembled": (lambda: assemble(live()).octaves[0], ("values", "mask", "phase", "step")),
    "octave": (lambda: multirate(X, 1.0).octaves[2], ("coefs", "mask", "step")),
    "multirate": (lambda: multirate(X, 1.0), ("scales", "freqs", "coi", "n")),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", RESULTS)
def test_copied_results_keep_fields_and_attributes(name: str, way: str) -> None:
    make, attributes = RESULTS[name]
    result = make()

    copied = COPIES[way](result)

    assert type(copied) is type(result)
    for attribute in (*getattr(result, "_fields", ()), *attributes):
        np.testing.assert_array_equal(getattr(copied, attribute), getattr(result, attribute))
    assert repr(copied) == repr(result)


def test_a_copied_multirate_result_still_expands() -> None:
    result = multirate(X, 1.0)
    copied = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(copied.full(), result.full())


def test_replacing_a_field_keeps_the_attributes() -> None:
    result = wct(X, Y, 1.0, sig=False)

    replaced = result._replace(freqs=2 * result.freqs)

    assert replaced.freqs[0] == 2 * result.freqs[0]
    assert replaced.mask is result.mask
    assert replaced.smoothed is result.smoothed
    assert result._make(result).mask.shape == result.coherence.shape


def test_attributes_are_replaced_and_unknown_names_refused() -> None:
    result = cwt(X, 1.0)
    assert not result._replace(mask=np.zeros_like(result.mask)).mask.any()
    with pytest.raises(TypeError, match=r"cannot replace \['signif'\]: CwtResult has coefs.*mask"):
        result._replace(signif=1)


def test_the_phase_of_a_copy_is_not_computed_again() -> None:
    result = wct(X, Y, 1.0, sig=False)
    copied = copy.copy(result)
    assert copied.smoothed is result.smoothed


@pytest.mark.parametrize("name", RESULTS)
def test_the_repr_of_a_result_is_two_lines_at_most(name: str) -> None:
    text = repr(RESULTS[name][0]())
    assert len(text) < 200
    assert "\n" not in text


@pytest.mark.parametrize("name", sorted(RESULTS.keys() - {"ar1"}))
def test_notebooks_show_a_result_as_a_table_without_unescaped_text(name: str) -> None:
    result = RESULTS[name][0]()
    root = ET.fromstring(result._repr_html_())
    assert root.tag == "table"
    assert root.findtext("caption") == type(result).__name__
    assert len(root.findall("tr")) >= 3


def test_the_coefficients_of_a_result_are_shown_as_numbers() -> None:
    # Lag1(g=array(0.5), estimator=array('given', dtype='<U5')).
    lag1 = xwt(X, Y, 1.0, al1=0.5, al2=0.25).lag1
    assert lag1 is not None
    assert repr(lag1[0]) == "Lag1(g=0.5, estimator='given')"


def test_derived_levels_are_shown_as_numbers() -> None:
    levels = wct_significance(0.5, 0.5, 1.0, 1 / 4, 2.0, 40, method="table")
    assert repr(levels).startswith("<MonteCarloLevels: scales 41")
    assert repr(levels[:3]).startswith("MonteCarloLevels([0.")
