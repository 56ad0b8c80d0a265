"""Values that rest on a constant are masked, offline and live by the same rule."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pycwt_mod import DOG, Morlet, Paul, Wavelet, cwt, multirate, rednoise, wct, xwt
from pycwt_mod.engine.flat_stretches import FLAT_EPS, flat_stretches
from pycwt_mod.engine.layout import BLOCK_RTOL, support_radius
from pycwt_mod.streaming import StreamingCwt, StreamingWct, StreamingXwt
from tests.thorough import cases

FS, N = 100.0, 4000
FLAT = slice(1500, 3200)
BAND: dict[str, Any] = {"fmin_hz": 2.0, "fmax_hz": 16.0, "hop_s": 1.0}
FREQS = 16.0 * 2 ** (-np.arange(37) / 12)

Array = NDArray[Any]


def noise(seed: int, n: int = N) -> Array:
    return rednoise(n, 0.5, rng=seed)


def held(signal: Array, at: slice = FLAT, value: float | None = None) -> Array:
    """Return the signal of an electrode that came off: a constant for a while."""
    signal = signal.copy()
    signal[at] = signal[at.start] if value is None else value
    return signal


def distance_to_samples_that_vary(flat: Array) -> Array:
    varying = np.flatnonzero(~flat)
    after = np.append(varying, 2 * flat.size)[np.searchsorted(varying, np.arange(flat.size))]
    before = np.append(varying, -flat.size)[
        np.searchsorted(varying, np.arange(flat.size), side="right") - 1
    ]
    return np.asarray(np.minimum(after - np.arange(flat.size), np.arange(flat.size) - before))


def test_two_electrodes_that_deliver_constants_have_no_coherence() -> None:
    """It was 0.95 at its median, and above its level for as long as both were off."""
    x, y = held(noise(1)), held(noise(2))
    result = wct(x, y, 1 / FS, freqs=FREQS, significance="table")
    row, middle = 12, (FLAT.start + FLAT.stop) // 2
    assert result.mask[row, middle]
    assert not (result.coherence > result.signif[:, None])[result.mask].any()
    assert not result.coherence[result.mask].any()
    assert not result.phase[result.mask].any()
    assert not result.smoothed[:, result.mask].any()
    assert np.isfinite(result.coherence).all()


@pytest.mark.parametrize("op", ["cwt", "xwt", "wct"])
@pytest.mark.parametrize("wavelet", [Morlet(), Paul(), DOG(6)])
def test_a_value_is_masked_where_every_sample_of_its_support_is_flat(
    op: Any, wavelet: Wavelet
) -> None:
    x, y = held(noise(1)), noise(2)
    flat = np.zeros(N, np.bool_)
    flat[FLAT] = True
    options: dict[str, Any] = {"freqs": FREQS, "wavelet": wavelet}
    if op == "cwt":
        result: Any = cwt(x, 1 / FS, **options)
    else:
        result = (xwt if op == "xwt" else wct)(x, y, 1 / FS, **options | NO_LEVEL[op])
    distance = distance_to_samples_that_vary(flat)
    scales = FS / (wavelet.fourier_factor * FREQS)
    reach = int(np.floor(wavelet.deltaj0 * 12 / 2 + 0.5)) if op == "wct" else 0
    for j in range(len(FREQS)):
        radius = support_radius(wavelet, op, BLOCK_RTOL) * scales[min(j + reach, len(FREQS) - 1)]
        np.testing.assert_array_equal(result.mask[j], distance > np.ceil(radius))


NO_LEVEL: dict[str, dict[str, Any]] = {"xwt": {}, "wct": {"sig": False}}


def test_coefficients_of_a_constant_keep_their_numbers() -> None:
    """They are right: next to nothing. `icwt` and sums over time use them."""
    result = cwt(held(noise(1)), 1 / FS, freqs=FREQS)
    inside = np.abs(result.coefs[result.mask])
    assert 0 < inside.max() < 1e-6


def test_the_octaves_of_multirate_are_masked_as_cwt_is() -> None:
    x = held(noise(1))
    whole = cwt(x, 1 / FS)
    assert whole.mask.any()
    for octave in multirate(x, 1 / FS).octaves:
        rows = np.searchsorted(whole.scales, octave.scales)
        np.testing.assert_array_equal(octave.mask, whole.mask[rows, :: octave.step])


CONSTANTS = {
    "constant": np.full(N, 3.25),
    "one step": np.where(np.arange(N) < 800, 3.0, 4.5),
    "zeros": np.zeros(N),
    "rounding of float32": np.float32(0.1)
    * (1 + np.random.default_rng(3).integers(-1, 2, N) * np.float32(2**-23)).astype(np.float32),
    "rounding of float64": 0.1 * (1 + np.random.default_rng(3).integers(-1, 2, N) * 2.0**-52),
    "counts of 16 bits": np.full(N, -4711, np.int16) * np.float32(0.195),
    "a tiny unit": np.full(N, 1e-300),
    "a large unit": np.full(N, -1e300),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_masked_whatever_its_value_and_rounding(name: str) -> None:
    constant = CONSTANTS[name]
    coefs = cwt(constant, 1 / FS, freqs=FREQS)
    other = noise(2).astype(coefs.coefs.real.dtype)
    coherence = wct(constant, other, 1 / FS, freqs=FREQS, sig=False, normalize=False)
    at = 2400 if name == "one step" else slice(None)
    assert coefs.mask[:, at].all()
    assert coherence.mask[:, at].all()
    if name == "one step":
        assert not coefs.mask[:, 800].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 9e-3, -9e-3])
def test_microvolts_on_an_offset_of_millivolts_are_not_masked(offset: float, dtype: Any) -> None:
    x, y = (offset + 1e-6 * noise(k) for k in (1, 2))
    pair = x.astype(dtype), y.astype(dtype)
    assert not cwt(pair[0], 1 / FS, freqs=FREQS).mask.any()
    assert not wct(*pair, 1 / FS, freqs=FREQS, sig=False).mask.any()
    off = held(pair[0])
    assert cwt(off, 1 / FS, freqs=FREQS).mask[:, 2400].all()


def test_counts_that_stand_still_for_a_few_samples_are_not_masked() -> None:
    counts = np.rint(1.5 * noise(1)).astype(np.int16)
    assert (np.diff(counts) == 0).mean() > 0.1
    assert not cwt(counts, 1 / FS).mask.any()


def test_a_drift_below_the_rounding_of_two_samples_is_a_signal() -> None:
    """Neighbours differ by a unit in the last place; a thousand samples by a thousand."""
    drift = np.float32(1) + np.arange(N).astype(np.float32) * np.float32(2**-23)
    assert flat_stretches(drift[None], 11) is None
    slow = np.repeat(drift, 50)
    stretches = flat_stretches(slow[None], 60)
    assert stretches is not None
    (found,) = stretches.each
    spans = [np.ptp(slow[a:b]) for a, b in found]
    assert max(spans) <= FLAT_EPS * 2.0**-23 * 1.001
    assert {b - a for a, b in found[1:-1]} <= {200, 250}


@settings(max_examples=cases(60), deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), min_size=1, max_size=12),
    least=st.integers(1, 50),
    seed=st.integers(0, 9),
)
def test_stretches_are_those_of_the_definition(
    pieces: list[tuple[int, int]], least: int, seed: int
) -> None:
    """Every part of `least` samples that are all equal lies in a stretch, and no other."""
    rng = np.random.default_rng(seed)
    x = np.concatenate(
        [np.full(k, float(kind)) if kind else rng.standard_normal(k) for kind, k in pieces]
    )
    found = flat_stretches(x[None], least)
    stretches = [] if found is None else [tuple(each) for each in found.each[0].tolist()]
    changes = np.flatnonzero(np.diff(x)) + 1
    edges = [0, *changes.tolist(), x.size]
    expected = [(a, b) for a, b in pairwise(edges) if b - a >= max(least, 2)]
    assert [each for each in stretches if each[1] - each[0] >= 2] == expected


def test_missing_samples_neither_end_a_flat_stretch_nor_are_one() -> None:
    x = held(noise(1))
    x[2000] = np.nan
    x[400:1200] = np.nan
    found = flat_stretches(x[None], 100)
    assert found is not None
    np.testing.assert_array_equal(found.each[0], [[FLAT.start, FLAT.stop]])


STREAMS: dict[str, Any] = {"cwt": StreamingCwt, "xwt": StreamingXwt, "wct": StreamingWct}


@pytest.mark.parametrize("op", STREAMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_live_masks_of_flat_stretches_equal_those_of_the_recording(op: str, dtype: str) -> None:
    signals = np.stack([held(noise(1)), held(noise(2), slice(2000, 3400), 7.0)], axis=1)
    signals = signals.astype(dtype)
    stream = STREAMS[op](fs_hz=FS, channels=2, dtype=dtype, **BAND)
    blocks = [b for part in np.array_split(signals, 37) for b in stream.push(part)]
    blocks += stream.flush()
    x, y = signals.T
    options: dict[str, Any] = {"freqs": stream.grid.freqs_hz}
    masks: dict[tuple[int, ...], Array]
    if op == "cwt":
        masks = {(k,): cwt(signals[:, k], 1 / FS, **options).mask for k in (0, 1)}
    else:
        masks = {(0, 1): (xwt if op == "xwt" else wct)(x, y, 1 / FS, **options | NO_LEVEL[op]).mask}
    edge = 700  # live, the ends of the recording are masked too
    compared = 0
    for block in blocks:
        at = block.first_sample + block.step * np.arange(block.values.shape[1])
        inside = (at >= edge) & (at < N - edge)
        rows = 12 * block.octave + np.arange(len(block.freqs_hz))
        expected = masks[block.channels][rows][:, at[inside]]
        np.testing.assert_array_equal(block.mask[:, inside], expected)
        if op == "wct":
            assert not block.values[:, inside][expected].any()
        compared += int(expected.sum())
    assert compared > 1000


@pytest.mark.parametrize("offset", [0.0, 9e3])
@pytest.mark.parametrize("channels", [1, 100])
def test_one_flat_channel_among_many_is_detected(channels: int, offset: float) -> None:
    samples = np.stack([noise(k) for k in range(channels)], axis=1) + offset
    samples[FLAT, -1] = 9000 * (1 + np.random.default_rng(1).integers(-1, 2, 1700) * 2.0**-23)
    stream = StreamingCwt(fs_hz=FS, channels=channels, dtype="float32", **BAND)
    blocks = stream.push(samples[:2800])
    flat = [b for b in blocks if b.octave == 0 and 1700 <= b.first_sample < 2600]
    assert {b.channels: bool(b.mask.all()) for b in flat} == {
        (k,): k == channels - 1 for k in range(channels)
    }
    assert not any(b.mask.any() for b in flat if b.channels != (channels - 1,))
