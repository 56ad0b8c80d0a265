"""Instant levels: right where the table covers, refused where it doesn't."""

from __future__ import annotations

import doctest
import importlib
from typing import Any

import numpy as np
import pytest

from pycwt_mod import (
    DOG,
    MexicanHat,
    Morlet,
    NotTabulated,
    Paul,
    VoiceGrid,
    block_level,
    block_significance,
    octave_layouts,
    plan,
    wct_significance,
)
from pycwt_mod.arrays import Convention
from pycwt_mod.significance.simulation import ALGORITHM_VERSION
from pycwt_mod.significance.table import (
    LEVELS,
    VOICES,
    WAVELETS,
    LevelTable,
    colours,
    ends,
    level_table,
)
from pycwt_mod.significance.table.files import provenance
from pycwt_mod.significance.table.level_table import nyquist_rows, top_rows
from pycwt_mod.wavelets import Wavelet
from tests.thorough import cases

AXIS: dict[str, Any] = {
    "al1": 0.5, "al2": 0.5, "dt": 0.25, "dj": 1 / 4, "s0": 0.5, "J": 28, "method": "table",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2), DOG(6)])
@pytest.mark.parametrize(
    ("lags", "colour"),
    [((0.0, 0.0), 0.003), ((0.4, 0.4), 0.01), ((0.95, 0.3), 0.02), ((0.99, 0.99), 0.02)],
)
def test_table_agrees_with_a_simulation_of_the_same_axis(
    lags: tuple[float, float], colour: float, wavelet: Wavelet, convention: Convention
) -> None:
    """To the sampling errors, and a little for red noise, whose exponents are interpolated."""
    s0 = 2 / wavelet.fourier_factor
    options: dict[str, Any] = {"wavelet": wavelet, "convention": convention}
    axis = (*lags, 1.0, 1 / 4, s0, 28)
    looked_up = wct_significance(*axis, method="table", **options)
    # The wavelet that most people use is simulated with all pairs in every run.
    pairs = 300 if wavelet == Morlet() else cases(300)
    simulated = wct_significance(*axis, rng=1, mc_count=pairs, **options)
    assert simulated.standard_error is not None
    assert looked_up.standard_error is not None
    off = np.abs(np.asarray(looked_up) - np.asarray(simulated))
    allowed = colour + 3.5 * np.hypot(simulated.standard_error, looked_up.standard_error)
    some = np.isfinite(off)
    assert some.sum() >= 28
    assert (off[some] <= allowed[some]).all()


def test_result_says_that_it_is_looked_up_and_how_exact_it_is() -> None:
    levels = wct_significance(**AXIS)
    assert (levels.method, levels.seed, levels.mc_count, levels.pairs) == ("table",) + (None,) * 3
    assert levels.standard_error is not None
    assert levels.standard_error.shape == levels.shape == (29,)
    assert (levels.standard_error < 0.01).all()
    assert np.array_equal(levels, wct_significance(**AXIS))


def test_levels_grow_with_the_probability() -> None:
    found = [wct_significance(**AXIS, significance_level=p) for p in np.linspace(0.8, 0.995, 40)]
    assert (np.diff(np.array(found), axis=0) > 0).all()


def test_interpolated_probability_agrees_with_a_simulation() -> None:
    table = LevelTable.of(Morlet(), 1 / 4, "standard")
    s0 = 2 * 2**0.6
    simulated = wct_significance(0.0, 0.0, 1.0, 1 / 4, s0, 28, 0.93, rng=2, precision=0.006)
    found, _ = table.record(s0, 28, 0.93)
    assert found == pytest.approx(np.asarray(simulated), abs=0.03)


def test_the_largest_scale_is_nan_in_pycwts_convention() -> None:
    levels = wct_significance(**AXIS, convention="pycwt")
    assert np.isnan(levels[-1])
    assert np.isfinite(levels[:-1]).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dj": 0.3}, r"dj.*\(1, 2, 3"),
        ({"wavelet": Morlet(8.0, given_deltaj0=0.5)}, "'morlet-6'"),
        ({"wavelet": Morlet(6.0, given_deltaj0=0.5)}, "'morlet-6'"),
        ({"significance_level": 0.999}, "0.8 to 0.995"),
        ({"significance_level": 0.5}, "0.8 to 0.995"),
        ({"J": 15}, "scales"),
        ({"s0": 0.2}, "period"),
        ({"al1": 0.9995}, "-0.1 .*0.999"),
        ({"al2": -0.5}, "-0.1 .*0.999"),
    ],
)
def test_what_the_table_does_not_cover_is_refused_with_what_it_does(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotTabulated, match=rf"cannot look up .*{said}.*method='montecarlo'"):
        wct_significance(**{**AXIS, **changes})


def test_every_table_is_complete_and_exact() -> None:
    for wavelet in WAVELETS:
        for voices in VOICES:
            for convention in ("standard", "pycwt"):
                table = LevelTable.of(wavelet, 1 / voices, convention)
                assert table.ending.shape == (2, top_rows(voices), len(LEVELS))
                for rows in (table.lower, table.middle, table.upper, table.ending, *table.cut):
                    assert ((rows[0] > 0) & (rows[0] <= 1)).all()
                    assert (np.diff(rows[0], axis=1) >= 0).all()
                    assert (rows[1, :, 2] < 0.01).all()
    assert nyquist_rows(12, 0.0) == 15
    assert LevelTable.of(MexicanHat(), 1, "standard").ending.shape[1] == 4


@pytest.mark.slow
@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(2)], ids=repr)
@pytest.mark.parametrize("lags", [(0.0, 0.0), (0.7, 0.3)])
def test_levels_of_a_record_of_n_samples_are_looked_up(
    wavelet: Wavelet, lags: tuple[float, float]
) -> None:
    scales = plan(200, 1.0, 1 / 4, wavelet=wavelet).scales
    options: Any = (*lags, 1.0, 1 / 4, scales[0], len(scales) - 1, 0.95, wavelet, 400)
    looked_up = wct_significance(*options, n=200, method="table")
    simulated = wct_significance(*options, n=200, rng=1)
    outside = 2 * wavelet.efolding * scales < 200
    assert np.asarray(looked_up)[outside] == pytest.approx(simulated[outside], abs=0.05)
    assert (looked_up[outside][-2:] > 0.75).all()


def test_short_records_are_refused_by_the_table() -> None:
    with pytest.raises(NotTabulated, match="n=49"):
        wct_significance(**AXIS, n=49)


def test_rows_far_below_the_length_of_the_record_are_those_of_endless_noise() -> None:
    levels = LevelTable.of(Morlet(), 1 / 4, "standard")
    long, endless = levels.record(2.0, 28, 0.95, n=100_000)[0], levels.endless(2.0, 29, 0.95)[0]
    assert np.array_equal(long, endless)


def test_table_says_where_it_comes_from() -> None:
    facts = provenance(level_table.FILE)
    assert facts["levels"] == list(LEVELS)
    for module, program in ((level_table, "table"), (colours, "colours"), (ends, "ends")):
        source = provenance(module.FILE)
        assert source["made_by"] == f"python -m benchmarks.level_{program}"
        assert source["algorithm"] == ALGORITHM_VERSION
    assert {"seed", "record_pairs", "endless_pairs", "library", "algorithm"} <= set(facts)


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize(("al1", "al2"), [(0.3, 0.9), (0.0, 0.0), (0.9999, 0.99)])
@pytest.mark.parametrize(
    ("wavelet", "error"), [(Morlet(), 0.015), (Paul(), 0.025), (DOG(2), 0.03), (DOG(6), 0.03)]
)
def test_live_levels_are_those_that_a_worker_would_simulate(
    wavelet: Wavelet, error: float, al1: float, al2: float, convention: Convention
) -> None:
    grid = VoiceGrid(fs_hz=100, fmin_hz=0.1, fmax_hz=5, voices_per_octave=6, wavelet=wavelet)
    layouts = octave_layouts(grid, op="wct", hop_s=2, convention=convention)
    for layout in (layouts[0], layouts[-1]):
        options: dict[str, Any] = {
            "grid": grid, "layout": layout, "convention": convention, "al1": al1, "al2": al2,
            "level": 0.95,
        }  # fmt: skip
        looked_up = block_level(**options)
        simulated = block_significance(**options, mc_count=600, seed=0)
        assert looked_up == pytest.approx(simulated, abs=error)


def test_red_noise_below_every_knee_has_the_levels_of_a_power_law() -> None:
    table = LevelTable.of(Paul(), 1 / 12, "standard")
    redder, red = (table.endless(64.0, 60, 0.95, (lag, lag))[0] for lag in (0.99999, 0.9999))
    white = table.endless(64.0, 60, 0.95)[0]
    assert redder == pytest.approx(red)
    assert (red > white + 0.03).all()
    assert table.endless(64.0, 60, 0.95, (-0.1, -0.05))[0] == pytest.approx(white)


def test_live_grids_that_are_too_short_are_refused() -> None:
    grid = VoiceGrid(fs_hz=125, fmin_hz=7, fmax_hz=8, voices_per_octave=12, wavelet=Morlet())
    layout = octave_layouts(grid, op="wct", hop_s=2, convention="standard")[0]
    with pytest.raises(NotTabulated, match=r"\b3 scales\b.*\b8\b"):
        block_level(grid=grid, layout=layout, convention="standard", al1=0.0, al2=0.0, level=0.95)


def test_example_runs() -> None:
    result = doctest.testmod(importlib.import_module("pycwt_mod.significance.octave"))
    assert result.attempted > 0
    assert result.failed == 0
