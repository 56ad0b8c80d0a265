"""All pairs of many channels at once: each is what `wct` gives of it alone."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pycwt_mod import (
    Convention,
    LiveBlock,
    MonteCarlo,
    NotTabulated,
    StreamingWct,
    WctPairsResult,
    assemble,
    rednoise,
    wct,
    wct_pairs,
)
from pycwt_mod.streaming import compute_sets
from pycwt_mod.streaming.pairs import MANY_PAIRS
from tests.thorough import cases

Array = NDArray[Any]
N = 700


def channels(count: int = 3, n: int = N) -> Array:
    common = rednoise(n, 0.8, rng=1)
    noise = [rednoise(n, 0.2 + 0.1 * k, rng=5 + k) for k in range(count)]
    return np.array(noise) + 0.5 * common


def check(result: WctPairsResult, x: Array, tolerance: float, **options: Any) -> None:
    """Compare R², phase and mask of all pairs with those of `wct` at the same samples."""
    for place, (one, other) in enumerate(result.pairs):
        alone = wct(
            x[one], x[other], 1.0, 1 / 6, sig=False, phase_of="smoothed", **options,
        )  # fmt: skip
        row = 0
        for octave in result.octaves:
            rows = slice(row, row + len(octave.scales))
            row = rows.stop
            expected = alone.coherence[rows, :: octave.step]
            assert np.abs(octave.coherence[place] - expected).max() < tolerance
            assert np.array_equal(octave.mask[place], alone.mask[rows, :: octave.step])
            assert octave.phase is not None
            turn = np.exp(1j * octave.phase[place]) - np.exp(1j * alone.phase[rows, :: octave.step])
            assert np.abs(turn * expected).max() < tolerance
        assert row == len(alone.freqs)


@pytest.mark.parametrize(
    ("convention", "wavelet", "dtype", "tolerance"),
    [
        # The Gaussian of the smallest scale of Morlet is 9e-9 of its maximum at Nyquist.
        ("standard", "morlet", np.float64, 1e-8),
        ("pycwt", "morlet", np.float64, 1e-8),
        ("standard", "morlet", np.float32, 2e-5),  # wct itself is within 1e-5 of float64
        ("standard", "dog", np.float64, 1e-8),  # rings at its smallest scales
    ],
)
def test_every_pair_is_what_wct_gives_of_it(
    convention: Convention, wavelet: str, dtype: Any, tolerance: float
) -> None:
    x = channels().astype(dtype)
    options: dict[str, Any] = {"convention": convention, "wavelet": wavelet}
    result = wct_pairs(x, 1.0, 1 / 6, sig=False, **options)
    assert result.octaves[0].coherence.dtype == dtype
    assert len({octave.step for octave in result.octaves}) > 4
    check(result, x, tolerance, **options)


def test_pairs_may_be_chosen_and_turned() -> None:
    x = channels(4)
    every = wct_pairs(x, 1.0, 1 / 6)
    some = wct_pairs(x, 1.0, 1 / 6, pairs=[(3, 1), (0, 2), (3, 0)], workers=2)
    assert every.signif is not None
    assert some.signif is not None
    for place, (one, other) in enumerate(some.pairs.tolist()):
        low, high = sorted((one, other))
        same = every.place(low, high)
        assert np.array_equal(some.signif[place], every.signif[same])
        for a, b in zip(some.octaves, every.octaves, strict=True):
            assert a.phase is not None
            assert b.phase is not None
            assert np.abs(a.coherence[place] - b.coherence[same]).max() < 1e-12
            sign = 1 if (one, other) == (low, high) else -1
            sure = b.coherence[same] > 0.1
            assert np.abs(a.phase[place] - sign * b.phase[same])[sure].max() < 1e-9
    with pytest.raises(KeyError, match=r"\(1, 3\)"):
        some.place(1, 3)


def test_thresholds_are_those_of_the_table_for_rounded_coefficients() -> None:
    x = channels(3)
    result = wct_pairs(x, 1.0, 1 / 6)
    assert result.signif is not None
    for (one, other), signif in zip(result.pairs, result.signif, strict=True):
        alone = wct(x[one], x[other], 1.0, 1 / 6, significance="table")
        assert np.abs(signif - alone.signif).max() < 2e-3
    simulated = wct_pairs(x, 1.0, 1 / 6, pairs=[(0, 1)], significance=MonteCarlo(count=40, seed=1))
    assert simulated.signif is not None
    assert simulated.signif.shape == (1, len(result.scales))
    with pytest.raises(NotTabulated, match="dj"):
        wct_pairs(x, 1.0, 1 / 7)


def test_dead_constant_or_copied_channels_affect_no_other() -> None:
    x = channels(6)
    x[1], x[2], x[4] = np.nan, 7.0, x[0]
    x[5, 400:460] = np.nan
    result = wct_pairs(x, 1.0, 1 / 6)
    assert result.lag1 is not None
    assert result.lag1.g[[1, 2]].tolist() == [0, 0]
    healthy = wct_pairs(channels(6)[[0, 3]], 1.0, 1 / 6)
    for octave, expected in zip(result.octaves, healthy.octaves, strict=True):
        for place, pair in enumerate(result.pairs.tolist()):
            if {1, 2} & set(pair):
                assert octave.mask[place].all()
                assert not octave.coherence[place].any()
            elif pair == [0, 4]:
                assert octave.coherence[place] == pytest.approx(1)
                assert not octave.mask[place].any()
            elif pair == [0, 3]:
                assert np.abs(octave.coherence[place] - expected.coherence[0]).max() < 1e-12
    gap = wct(x[3], x[5], 1.0, 1 / 6, sig=False)
    place, top = result.place(3, 5), result.octaves[0]
    assert gap.mask.any()
    assert np.array_equal(top.mask[place], gap.mask[: len(top.scales), :: top.step])


def test_a_weak_stretch_next_to_a_strong_one_is_resolved_in_single_precision() -> None:
    x = channels(3)
    x[:, N // 2 :] *= 1e-4
    double = wct_pairs(x, 1.0, 1 / 6, sig=False)
    single = wct_pairs(x.astype(np.float32), 1.0, 1 / 6, sig=False)
    for one in single.octaves:
        for other in (each for each in double.octaves if each.step == one.step):
            if one.scales[0] == other.scales[0] and len(one.scales) == len(other.scales):
                assert np.abs(one.coherence - other.coherence).max() < 1e-4


def test_a_band_makes_a_matrix_of_channels() -> None:
    result = wct_pairs(channels(4), 1.0, 1 / 6, sig=False, phase=False)
    assert result.octaves[0].phase is None
    band = result.band_mean(1 / 40, 1 / 10)
    matrix = result.matrix(band)
    assert np.array_equal(matrix, matrix.T)
    assert matrix[1, 3] == band[result.place(1, 3)]
    assert (np.diag(matrix) == 1).all()
    alone = wct(channels(4)[1], channels(4)[3], 1.0, 1 / 6, sig=False)
    rows = (alone.freqs >= 1 / 40) & (alone.freqs <= 1 / 10)
    inside = 1 / alone.freqs[rows, None] <= alone.coi
    # Both are averages of a smooth plane, over all samples and over some of them.
    assert matrix[1, 3] == pytest.approx(alone.coherence[rows][inside].mean(), abs=1e-3)
    with pytest.raises(ValueError, match="no row lies"):
        result.band_mean(2, 3)


def test_what_cannot_be_computed_is_refused_with_its_number() -> None:
    x = channels(4)
    with pytest.raises(ValueError, match=r"coherence of 6 pairs would need \d+ bytes"):
        wct_pairs(x, 1.0, max_bytes=1000)
    with pytest.raises(ValueError, match=r"pair \(0, 4\)"):
        wct_pairs(x, 1.0, pairs=[(0, 4)])
    with pytest.raises(ValueError, match="none twice"):
        wct_pairs(x, 1.0, pairs=[(0, 1), (0, 1)])
    with pytest.raises(ValueError, match=r"\(700,\)"):
        wct_pairs(x[0], 1.0)
    with pytest.raises(ValueError, match="infinite"):
        wct_pairs(np.where(x > 2, np.inf, x), 1.0)


AXIS: dict[str, Any] = {
    "fs_hz": 50.0, "fmin_hz": 1.2, "fmax_hz": 6.0, "hop_s": 0.7, "voices_per_octave": 6,
}  # fmt: skip


def fed(stream: StreamingWct, x: Array, lengths: list[int]) -> list[LiveBlock]:
    pieces = np.split(x, np.cumsum(lengths), axis=1)
    blocks = [block for piece in pieces for block in stream.push(piece.T)]
    return [*blocks, *stream.flush()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=cases(10), deadline=None)
@given(
    lengths=st.lists(st.integers(0, 500), max_size=6),
    gap=st.tuples(st.integers(0, 3), st.integers(100, 900), st.integers(1, 40)),
)
def test_live_blocks_of_all_pairs_are_those_of_each_pair_however_samples_come(
    dtype: Any, lengths: list[int], gap: tuple[int, int, int]
) -> None:
    x = channels(7, 1000)
    x[5], x[6, 500:900] = 3.0, 1.0
    channel, first, count = gap
    x[channel, first : first + count] = np.nan
    blocks = fed(StreamingWct(channels=7, pairs="all", dtype=dtype, **AXIS), x, lengths)
    for pair in ((0, 1), (3, 5), (channel, channel + 1), (channel, 6)):
        alone = fed(StreamingWct(channels=7, pairs=[pair], dtype=dtype, **AXIS), x, [])
        octaves = zip(assemble(blocks, pair).octaves, assemble(alone).octaves, strict=True)
        for a, b in octaves:
            assert np.array_equal(a.mask, b.mask)
            # At the ends of the constant stretch of channel 6, its power is rounding alone.
            if 6 in pair:
                continue
            assert np.abs(a.values - b.values).max() < 1e-5
            assert a.phase is not None
            assert b.phase is not None
            turn = np.exp(1j * a.phase) - np.exp(1j * b.phase)
            assert np.abs(turn * b.values).max() < 1e-5


def test_live_blocks_of_all_pairs_have_the_threshold_of_each_pair() -> None:
    x = channels(7, 400).T
    every = StreamingWct(channels=7, pairs="all", level=0.95, **AXIS).push(x)
    alone = StreamingWct(channels=7, pairs=[(2, 5)], level=0.95, **AXIS).push(x)
    (same,) = [b for b in every if b.channels == (2, 5) and b.first_sample == 0 and b.octave == 0]
    assert alone[0].first_sample == alone[0].octave == 0
    assert same.signif is not None
    assert alone[0].signif is not None
    assert np.array_equal(same.signif, alone[0].signif)
    assert same.signif_method == alone[0].signif_method


def test_pairs_may_repeat_and_a_channel_may_be_its_own_pair_however_many_there_are() -> None:
    x = channels(7, 400)
    pairs = [(2, 2), (0, 1), (0, 1), *((one, 6) for one in range(6)), *((6, k) for k in range(7))]
    together = fed(StreamingWct(channels=7, pairs=pairs, **AXIS), x, [])
    one_by_one = [fed(StreamingWct(channels=7, pairs=[pair], **AXIS), x, []) for pair in pairs]
    assert len(pairs) == MANY_PAIRS
    assert [block.channels for block in together[: len(pairs)]] == pairs
    for k, alone in enumerate(one_by_one):
        for block, single in zip(together[k :: len(pairs)], alone, strict=True):
            assert np.abs(block.values - single.values).max() < 1e-5


@pytest.mark.parametrize("count", [MANY_PAIRS - 1, MANY_PAIRS])
def test_any_number_of_sets_is_checked(count: int) -> None:
    pairs = list(combinations(range(7), 2))[:count]
    stream = StreamingWct(channels=7, **AXIS)
    place: dict[str, Any] = {
        "window_first": 0, "tile_first": 0, "grid": stream.grid, "layout": stream.layouts[0],
        "op": "wct", "quantity": "coherence", "convention": "standard",
    }  # fmt: skip
    x = np.zeros((500, 7))
    for wrong in ({"quantity": "power"}, {"convention": "nonsense"}):
        with pytest.raises(ValueError, match="must be"):
            compute_sets(x, pairs, **(place | wrong))


def test_one_channel_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="one or more pairs"):
        StreamingWct(channels=1, pairs="all", **AXIS)
