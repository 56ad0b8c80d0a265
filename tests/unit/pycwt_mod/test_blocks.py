"""Blocks of a stream equal the offline transform of the whole recording."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pycwt_mod import (
    DOG,
    Convention,
    Morlet,
    OctaveLayout,
    Paul,
    VoiceGrid,
    Wavelet,
    block_significance,
    compute_block,
    cwt,
    octave_layouts,
    rednoise,
    wct,
    wct_significance,
)
from pycwt_mod.engine.filter_bank import smoothed_radius
from pycwt_mod.engine.layout import support_radius
from pycwt_mod.streaming import Block, BlockOp, Quantity, compute_blocks, highest_freq_hz
from tests.coherence_formula import smooth_in_time
from tests.formula import direct
from tests.thorough import cases

FS = 50.0
N = 6000
RTOL = 1e-5
RECORDING = Path(__file__).parents[3] / "cli/cwt_cli/recordings/physio_mimic037_125hz.csv.gz"
EEG = Path(__file__).parents[2] / "data/recordings"
Array = np.ndarray[Any, np.dtype[Any]]


def recording(n: int = N) -> Array:
    common = rednoise(n, 0.8, rng=1)
    y = rednoise(n, 0.4, rng=2) + 0.7 * common
    return np.stack([common + 900.0, y - 30.0], axis=1)


def a_grid(wavelet: Wavelet | None = None, fmax_hz: float = 6.0) -> VoiceGrid:
    return VoiceGrid(
        fs_hz=FS,
        fmin_hz=fmax_hz / 2**2.6,
        fmax_hz=fmax_hz,
        voices_per_octave=6,
        wavelet=wavelet or Morlet(),
    )


def offline(x: Array, grid: VoiceGrid, op: BlockOp, convention: Convention) -> Array:
    options: dict[str, Any] = {"wavelet": grid.wavelet, "convention": convention}
    if op == "wct":
        dj, s0, J = 1 / grid.voices_per_octave, grid.scales_s[0], grid.n_voices - 1
        return wct(x[:, 0], x[:, 1], 1 / FS, dj, s0, J, sig=False, **options).coherence
    centred = x - np.nanmean(x, axis=0)
    rows = [cwt(c, 1 / FS, freqs=grid.freqs_hz, **options).coefs for c in centred.T]
    return rows[0] if op == "cwt" else rows[0] * np.conj(rows[1])


def block_at(
    x: Array, first: int, grid: VoiceGrid, layout: OctaveLayout, op: BlockOp,
    convention: Convention = "standard", extra: int = 0,
) -> Block:  # fmt: skip
    low = max(0, first - layout.margin - extra)
    high = min(len(x), first + layout.tile + layout.margin + extra)
    return compute_block(
        x[low:high, : 1 if op == "cwt" else 2],
        window_first=low,
        tile_first=first,
        grid=grid,
        layout=layout,
        op=op,
        quantity="coherence" if op == "wct" else "complex",
        convention=convention,
    )


def worst_error(
    x: Array, grid: VoiceGrid, op: BlockOp, convention: Convention, hop_s: float, truth: Array
) -> float:
    """Return the largest error of unmasked values, and check that every octave has some."""
    worst = 0.0
    for layout in octave_layouts(grid, op=op, hop_s=hop_s, convention=convention):
        expected = truth[layout.voices]
        rms = np.sqrt((np.abs(expected) ** 2).mean(axis=1, keepdims=True))
        compared = 0
        for first in range(0, len(x), layout.tile):
            block = block_at(x, first, grid, layout, op, convention, extra=first % 7)
            index = first + layout.step * np.arange(layout.tile // layout.step)
            inside = index < len(x)
            assert np.isfinite(block.values).all()
            assert block.mask[:, ~inside].all()
            valid = block.mask[:, inside] == 0
            error = np.abs(block.values[:, inside] - expected[:, index[inside]]) / rms
            worst = max(worst, float(error[valid].max(initial=0.0)))
            compared += int(valid.sum())
        assert compared > 0
    return worst


@pytest.mark.parametrize("convention", ["standard", "pycwt"])
@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
@settings(max_examples=6, deadline=None)
@given(hop_s=st.floats(0.05, 6.0))
def test_blocks_equal_the_offline_transform(
    op: BlockOp, convention: Convention, hop_s: float
) -> None:
    x = recording()
    grid = a_grid()
    truth = offline(x, grid, op, convention)
    assert worst_error(x, grid, op, convention, max(hop_s, 0.5), truth) < RTOL


def test_coherence_in_single_precision_does_not_depend_on_the_units() -> None:
    """The larger of two signals drowned the smaller one; in small units all of it was zero."""
    grid = a_grid()
    x = (recording() - (900, -30)).astype(np.float32)
    (layout, *_) = octave_layouts(grid, op="wct", hop_s=3.0, convention="standard")
    plain = block_at(x, 1500, grid, layout, "wct")
    for units in ((1, 2**20), (2**-43, 2**-43), (2**30, 2**-40), (2**-90, 2**-80)):
        scaled = block_at(x * np.array(units, np.float32), 1500, grid, layout, "wct")
        assert scaled.phase is not None
        assert plain.phase is not None
        assert np.array_equal(scaled.values, plain.values), units
        assert np.array_equal(scaled.phase, plain.phase), units


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_blocks_of_the_shipped_recording_are_as_exact_as_the_page_says(dtype: str) -> None:
    """Its ECG has little power at low frequencies, and its respiration at high ones."""
    recorded = np.loadtxt(RECORDING, delimiter=",", skiprows=3)[:60_000]
    grid = VoiceGrid(fs_hz=125, fmin_hz=0.1, fmax_hz=8, voices_per_octave=12, wavelet=Morlet())
    for columns in ((1, 0), (1, 2)):
        x = recorded[:, columns].astype(dtype).astype(np.float64)  # rounded as a device would
        s0, J = grid.scales_s[0], grid.n_voices - 1
        truth = wct(x[:, 0], x[:, 1], 1 / 125, 1 / 12, s0, J, sig=False).coherence
        assert worst_error(x.astype(dtype), grid, "wct", "standard", 2.0, truth) < RTOL


def eeg_in_microvolts(name: str) -> tuple[float, Array]:
    """Return the rate, and samples of shape (time, channel): as sent, with their offsets."""
    if name == "test.eeg":  # 32 channels, interleaved
        counts = np.fromfile(EEG / name, "<i2").reshape(-1, 32)
        return 1000.0, 0.5 * counts[:, [2, 3, 5]]
    raw = np.fromfile(EEG / name, np.uint8)[
        256 * 5 :
    ]  # records of 4 channels, 500 samples, 24 bits
    low, middle, high = raw.reshape(-1, 4, 500, 3).transpose(3, 1, 0, 2).reshape(3, 4, -1)
    counts = low + 256 * middle.astype(np.int32) + 65536 * high.astype(np.int8).astype(np.int32)
    return 500.0, 187470 / 2**23 * counts.T


@pytest.mark.parametrize("name", ["test.eeg", "bdf_stim_channel.bdf"])
def test_coherence_of_eeg_in_single_precision_is_that_of_the_recording(name: str) -> None:
    """It was off by up to 3.1e-5 of a row's RMS, for rows were computed in single precision too."""
    fs, samples = eeg_in_microvolts(name)
    single = samples.astype(np.float32)
    grid = VoiceGrid(fs_hz=fs, fmin_hz=8, fmax_hz=fs / 4, voices_per_octave=12, wavelet=Morlet())
    s0, J = grid.scales_s[0], grid.n_voices - 1
    for pair in combinations(range(single.shape[1]), 2):
        x = single[:, pair]
        y1, y2 = x.astype(np.float64).T
        truth = wct(y1, y2, 1 / fs, 1 / 12, s0, J, sig=False, normalize=False).coherence
        assert worst_error(x, grid, "wct", "standard", 1.0, truth) < RTOL


def test_channels_of_one_window_do_not_disturb_each_other_in_single_precision() -> None:
    """Blood pressure in mmHg and an ECG in mV, at frequencies where the ECG has little power."""
    heart, rng = np.arange(N) / FS, np.random.default_rng(3)
    strong = 20 * np.cumsum(rng.standard_normal(N)) + 90
    weak = np.sin(2 * np.pi * 5 * heart) + 1e-3 * rng.standard_normal(N)
    x, grid = np.stack([strong, weak], axis=1), a_grid()
    truth = offline(x, grid, "wct", "standard")
    layout = octave_layouts(grid, op="wct", hop_s=3.0, convention="standard")[-1]
    first = 2 * layout.tile
    block = block_at(x.astype(np.float32), first, grid, layout, "wct")
    expected = truth[layout.voices][:, first + layout.step * np.arange(layout.tile // layout.step)]
    assert np.abs(block.values - expected).max() < 1e-3


@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
def test_blocks_equal_the_offline_transform_up_to_the_highest_frequency(op: BlockOp) -> None:
    x = recording()
    grid = a_grid(fmax_hz=highest_freq_hz(FS, Morlet()))
    truth = offline(x, grid, op, "standard")
    assert worst_error(x, grid, op, "standard", 2.0, truth) < RTOL


@pytest.mark.parametrize("wavelet", [Paul(), DOG(2), DOG(6)], ids=repr)
@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
def test_blocks_equal_the_offline_transform_for_other_wavelets(
    op: BlockOp, wavelet: Wavelet
) -> None:
    x = recording(16_000)
    grid = a_grid(wavelet, 5.0)
    truth = offline(x, grid, op, "standard")
    assert worst_error(x, grid, op, "standard", 4.0, truth) < RTOL


@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
@settings(max_examples=5, deadline=None)
@given(gaps=st.lists(st.tuples(st.integers(0, N - 1), st.integers(1, 40)), min_size=1, max_size=3))
def test_what_is_not_masked_does_not_know_of_gaps(op: BlockOp, gaps: list[tuple[int, int]]) -> None:
    x = recording()
    grid = a_grid()
    truth = offline(x, grid, op, "standard")
    for first, length in gaps:
        x[first : first + length, 0] = np.nan
    assert worst_error(x, grid, op, "standard", 3.0, truth) < RTOL


def test_masked_samples_of_a_window_are_missing() -> None:
    x, grid = recording(2000)[:, :1], a_grid()
    gappy, spiked = x.copy(), x.copy()
    gappy[700:703], spiked[700:703] = np.nan, 1e20
    layout = octave_layouts(grid, op="cwt", hop_s=4.0, convention="standard")[0]
    found = block_at(np.ma.masked_greater(spiked, 1e10), 600, grid, layout, "cwt")
    expected = block_at(gappy, 600, grid, layout, "cwt")
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.mask, expected.mask)


def test_infinite_samples_of_a_window_are_missing() -> None:
    x, grid = recording(2000)[:, :1], a_grid()
    gappy, spiked = x.copy(), x.copy()
    gappy[[700, 705]], spiked[[700, 705]] = np.nan, [[np.inf], [-np.inf]]
    layout = octave_layouts(grid, op="cwt", hop_s=4.0, convention="standard")[0]
    found = block_at(spiked, 600, grid, layout, "cwt")
    expected = block_at(gappy, 600, grid, layout, "cwt")
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.mask, expected.mask)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e22), (np.float64, 1e160)])
@pytest.mark.parametrize("op", ["cwt", "xwt"])
def test_power_out_of_the_range_of_the_window_is_masked(
    op: BlockOp, dtype: type, size: float
) -> None:
    """It was infinite, and counted as valid."""
    x: NDArray[Any] = ((recording() - (900, -30)) * size).astype(dtype)[
        :, : 1 if op == "cwt" else 2
    ]
    x[2900:] /= 1e10
    grid = a_grid()
    layout = octave_layouts(grid, op=op, hop_s=3, convention="standard")[0]
    tile_first = 2900 // layout.tile * layout.tile
    common: dict[str, Any] = {
        "window_first": 0, "tile_first": tile_first, "grid": grid, "layout": layout, "op": op,
        "convention": "standard",
    }  # fmt: skip
    power = compute_block(x, quantity="power", **common)
    amplitude = compute_block(x.astype(np.float64) / size, quantity="amplitude", **common)
    expected = (
        2 * (np.log10(amplitude.values) + np.log10(size)) > np.log10(np.finfo(dtype).max)
    ).astype(np.uint8)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(power.mask, expected)
    assert np.isfinite(power.values).all()
    assert power.values.dtype == dtype
    assert not power.values[expected == 1].any()
    if power.phase is not None:
        assert np.isfinite(power.phase).all()


@pytest.mark.parametrize(
    ("op", "quantity", "dtype"),
    [
        ("cwt", "phase", np.float32),
        ("cwt", "phase", np.float64),
        ("xwt", "phase", np.float32),
        ("xwt", "phase", np.float64),
        ("wct", "coherence", np.float64),
    ],
)
def test_what_cannot_be_transformed_is_masked_whatever_the_quantity(
    op: BlockOp, quantity: Quantity, dtype: type
) -> None:
    x = recording()
    x -= x.mean(axis=0)
    x = (x / np.abs(x).max() * 0.9 * float(np.finfo(dtype).max)).astype(dtype)
    grid = a_grid()
    layout = octave_layouts(grid, op=op, hop_s=3, convention="standard")[0]
    block = compute_block(
        x[:, : 1 if op == "cwt" else 2], window_first=0, tile_first=layout.tile * 4, grid=grid,
        layout=layout, op=op, quantity=quantity, convention="standard",
    )  # fmt: skip
    assert np.isfinite(block.values).all()
    assert block.mask.all()
    assert not block.values.any()


def test_coherence_needs_no_power_in_the_range_of_single_precision() -> None:
    x = (recording() - (900, -30)).astype(np.float32)
    grid = a_grid()
    layout = octave_layouts(grid, op="wct", hop_s=3, convention="standard")[0]
    large = block_at(x * np.float32(2.0**115), layout.tile * 4, grid, layout, "wct")
    plain = block_at(x, layout.tile * 4, grid, layout, "wct")
    assert np.array_equal(large.values, plain.values)
    assert not large.mask.any()


def test_an_offset_near_the_end_of_the_range_is_removed() -> None:
    """The sum of the samples overflowed, and so did their mean."""
    x, grid = np.full((N, 1), 1.5e308), a_grid()
    x[::2] *= 1 - 2.0**-40  # at the Nyquist frequency, which no row sees; a constant is masked
    layout = octave_layouts(grid, op="cwt", hop_s=3, convention="standard")[0]
    block = block_at(x, layout.tile * 4, grid, layout, "cwt")
    assert not block.mask.any()
    assert np.abs(block.values).max() < 1e-9 * 1.5e308 * 2.0**-40


def test_each_row_is_masked_by_its_own_radius() -> None:
    x = recording()
    grid = a_grid()
    layout = octave_layouts(grid, op="cwt", hop_s=20, convention="standard")[0]
    gap = 2 * layout.tile + 500
    x[gap] = np.nan
    mask = block_at(x, 2 * layout.tile, grid, layout, "cwt").mask
    for row, scale in zip(mask, grid.scales_s[layout.voices] * FS, strict=True):
        reach = support_radius(Morlet(), "cwt", RTOL) * scale
        assert row.sum() * layout.step == pytest.approx(2 * reach, abs=2 * layout.step)


def test_smoothed_radius_is_less_than_the_sum_and_what_is_measured() -> None:
    assert smoothed_radius(Morlet(), 1e-5) == pytest.approx(
        np.sqrt(2) * Morlet().time_radius(1e-5), rel=0.01
    )
    # Move one sample, and see how far the smoothed spectrum feels it.
    n, s = 4096, np.array([20.0])
    x = rednoise(n, 0.0, rng=1)
    moved = x.copy()
    moved[n // 2] += 1.0
    smoothed = []
    for signal in (x, moved):
        # The mean is kept: removing it would spread the change over the whole record.
        w = direct(signal, Morlet(), s, 2 * n, "pycwt")
        smoothed.append(smooth_in_time(np.abs(w) ** 2, s, 2 * n)[0])
    change = np.abs(smoothed[1] - smoothed[0])
    felt = np.flatnonzero(change > 1e-5 * change.max())
    measured = max(n // 2 - felt[0], felt[-1] - n // 2) / s[0]
    assert 0.8 < measured / smoothed_radius(Morlet(), 1e-5) < 1.05


def test_large_offsets_do_not_hurt_single_precision() -> None:
    x = recording()
    grid = a_grid()
    layout = octave_layouts(grid, op="wct", hop_s=4, convention="standard")[0]
    exact = block_at(x, 5 * layout.tile, grid, layout, "wct")
    raw = np.round(x * 8) + 2.0**20  # raw counts; what is left is exact in single precision
    single = block_at(raw.astype(np.float32), 5 * layout.tile, grid, layout, "wct")
    double = block_at(raw, 5 * layout.tile, grid, layout, "wct")
    assert single.values.dtype == np.float32
    assert single.values == pytest.approx(double.values, abs=1e-7)
    assert exact.phase is not None


def test_windows_without_a_valid_sample_give_masked_zeros() -> None:
    grid = a_grid()
    layout = octave_layouts(grid, op="wct", hop_s=1, convention="standard")[0]
    block = block_at(np.full((N, 2), np.nan), 0, grid, layout, "wct")
    assert block.mask.all()
    assert not block.values.any()


def test_quantities_follow_from_the_coefficients() -> None:
    x = recording()
    grid = a_grid()
    layout = octave_layouts(grid, op="xwt", hop_s=1, convention="standard")[0]
    common: dict[str, Any] = {
        "window_first": 0, "tile_first": layout.tile * 4, "grid": grid, "layout": layout,
        "op": "xwt", "convention": "standard",
    }  # fmt: skip
    cross = compute_block(x, quantity="complex", **common)
    power = compute_block(x, quantity="power", **common)
    amplitude = compute_block(x, quantity="amplitude", **common)
    phase = compute_block(x, quantity="phase", **common)
    assert power.values == pytest.approx(np.abs(cross.values))
    assert amplitude.values**2 == pytest.approx(power.values)
    assert phase.values == pytest.approx(np.angle(cross.values))
    assert cross.phase == pytest.approx(phase.values)
    with pytest.raises(ValueError, match="quantity='coherence'"):
        compute_block(x, quantity="coherence", **common)
    with pytest.raises(ValueError, match=r"window.*\(6000, 1\)"):
        compute_block(x[:, :1], quantity="power", **common)
    with pytest.raises(ValueError, match="dtype int64"):
        compute_block(x.astype(np.int64), quantity="power", **common)


@settings(max_examples=cases(50), deadline=None)
@given(octaves=st.integers(0, 9), voices=st.integers(1, 32), fmax=st.floats(0.5, 14.0))
def test_grids_reach_down_to_fmin_and_fall_into_octaves(
    octaves: int, voices: int, fmax: float
) -> None:
    fmin = fmax / 2**octaves
    grid = VoiceGrid(
        fs_hz=FS, fmin_hz=fmin, fmax_hz=fmax, voices_per_octave=voices, wavelet=Morlet()
    )
    assert grid.freqs_hz[-1] == pytest.approx(fmin)
    slices = [grid.octave_slice(k) for k in range(grid.n_octaves)]
    assert [s.start for s in slices[1:]] == [s.stop for s in slices[:-1]]
    assert slices[-1].stop == len(grid.freqs_hz) == len(grid.scales_s)


@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
def test_layouts_hold_whole_steps(op: BlockOp) -> None:
    for layout in octave_layouts(a_grid(), op=op, hop_s=0.37, convention="standard"):
        assert layout.step & (layout.step - 1) == 0
        assert layout.tile % layout.step == layout.margin % layout.step == 0
        assert layout.tile >= 0.37 * FS * 2**layout.octave - 1e-6


@pytest.mark.slow
def test_block_significance_agrees_with_the_full_simulation() -> None:
    grid = a_grid()
    J = grid.n_voices - 1
    full = wct_significance(0.8, 0.4, 1 / FS, 1 / 6, grid.scales_s[0], J + 24, mc_count=600, rng=1)
    layouts = octave_layouts(grid, op="wct", hop_s=1, convention="standard")
    quick = np.concatenate(
        [
            block_significance(
                grid=grid, layout=layout, convention="standard",
                al1=0.8, al2=0.4, level=0.95, mc_count=600, seed=2,
            )
            for layout in layouts
        ]
    )  # fmt: skip
    # The boxcar ends at the end of each analysis's own scales: compare what is whole in both.
    whole = slice(0, J - 1)
    assert full.standard_error is not None
    tolerance = 4 * np.sqrt(2) * full.standard_error[whole] + 0.003
    assert (np.abs(quick[whole] - np.asarray(full)[whole]) < tolerance).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("op", "sets"),
    [("cwt", [(2,), (0,), (1,)]), ("xwt", [(0, 1), (2, 1)]), ("wct", [(0, 1), (2, 1), (0, 2)])],
)
def test_many_sets_of_a_window_give_what_each_gives_alone(
    op: BlockOp, sets: list[tuple[int, ...]], dtype: type
) -> None:
    x: Array = np.column_stack([recording(), rednoise(N, 0.5, rng=7)]).astype(dtype)
    x[3000, 1] = np.nan
    grid = a_grid()
    layout = octave_layouts(grid, op=op, hop_s=3, convention="standard")[1]
    common: dict[str, Any] = {
        "window_first": 0, "tile_first": 2800 // layout.tile * layout.tile, "grid": grid,
        "layout": layout, "op": op, "convention": "standard",
        "quantity": "coherence" if op == "wct" else "complex",
    }  # fmt: skip
    for columns, block in zip(sets, compute_blocks(x, sets, **common), strict=True):
        alone = compute_block(x[:, list(columns)], **common)
        rms = np.sqrt((np.abs(alone.values) ** 2).mean())
        assert np.abs(block.values - alone.values).max() < 1e-5 * rms
        assert block.values.dtype == alone.values.dtype
        np.testing.assert_array_equal(block.mask, alone.mask)


def test_unknown_channels_are_refused() -> None:
    grid = a_grid()
    layout = octave_layouts(grid, op="cwt", hop_s=3, convention="standard")[0]
    with pytest.raises(ValueError, match=r"\(5,\).*2 columns"):
        compute_blocks(
            recording(), [(5,)], window_first=0, tile_first=0, grid=grid, layout=layout, op="cwt",
            quantity="power", convention="standard",
        )  # fmt: skip
