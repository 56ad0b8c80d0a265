"""Provisional coherence and phase difference: identities, and the coverage of intervals."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray

from pycwt_mod import (
    Morlet,
    PairEstimate,
    Provisional,
    StreamingWct,
    StreamingXwt,
    VoiceGrid,
    rednoise,
    wct,
    xwt,
)
from pycwt_mod.streaming.provisional import Autoregression
from pycwt_mod.streaming.provisional.missing import conditional_errors, conditional_rows

Array = NDArray[Any]
PairStream = type[StreamingWct] | type[StreamingXwt]

FS = 200.0
AXIS: dict[str, Any] = {
    "fs_hz": FS, "fmin_hz": 3.2, "fmax_hz": 10.0, "voices_per_octave": 4, "hop_s": 1.0,
}  # fmt: skip
GRID = VoiceGrid(fs_hz=FS, fmin_hz=3.2, fmax_hz=10.0, voices_per_octave=4, wavelet=Morlet())


def signals(n: int, seed: int) -> Array:
    """Return two channels of red noise, which have a part in common; shape (n, 2)."""
    rng = np.random.default_rng(seed)
    common, one, other = (rednoise(n + 5, 0.9, rng=rng) for _ in range(3))
    return np.array([common[5:] + one[5:], common[:-5] + other[5:]]).T


def exact(stream: PairStream, x: Array) -> tuple[Array, Array]:
    """Return the quantity and its phase of the whole record, shape (voices, n)."""
    s0, J = float(GRID.scales_s[0]), GRID.n_voices - 1
    if stream is StreamingWct:
        result = wct(x[:, 0], x[:, 1], 1 / FS, 0.25, s0, J, sig=False, phase_of="smoothed")
        return result.coherence, result.phase
    cross = xwt(x[:, 0], x[:, 1], 1 / FS, 0.25, s0, J, normalize=False).cross
    return np.abs(cross), np.angle(cross)


@pytest.mark.parametrize(("stream", "delay_s"), [(StreamingXwt, 2.51), (StreamingWct, 4.53)])
def test_a_delay_beyond_wavelet_and_smoothing_gives_the_exact_value(
    stream: PairStream, delay_s: float
) -> None:
    x = signals(6000, 1)
    values, phases = exact(stream, x)
    (now,) = stream(**AXIS, provisional=Provisional(delay_s=delay_s)).push(x[:4000]).estimates
    at = np.arange(GRID.n_voices), now.samples
    rms = np.sqrt((values**2).mean(axis=1))
    difference = now.values * np.exp(1j * now.phase) - values[at] * np.exp(1j * phases[at])
    # At the reduced rate there are aliases, see STAGES.
    assert (np.abs(difference) < 1e-3 * rms).all()
    assert (now.interval[1] - now.interval[0] < 1e-6 * rms).all()


def covered(stream: PairStream, x: Array, lost: Array, provisional: Provisional) -> Array:
    """Return the part of values and phases that the intervals contained, and as counted."""
    live = stream(**AXIS, provisional=provisional)
    values, phases = exact(stream, x)
    last = len(x) - 500
    value, phase = [], []
    for piece in np.split(np.arange(last), np.arange(1500, last, 97)):
        (now,) = live.push(np.where(lost[:, None], np.nan, x)[piece]).estimates
        at = np.arange(GRID.n_voices), now.samples
        low, high = now.interval
        value.append((low <= values[at]) & (values[at] <= high))
        turn = np.angle(np.exp(1j * (phases[at] - now.phase)))
        phase.append(np.abs(turn) <= now.phase_halfwidth)
    counted = [each for octave in live.calibration for each in octave]
    inside = np.sum([each.covered for each in counted], axis=0)
    parts = inside / sum(each.compared for each in counted)
    return np.array([np.mean(value), np.mean(phase), *parts.tolist()])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "provisional", "gaps"),
    [
        (StreamingXwt, Provisional(delay_s=0.0), 0),
        (StreamingWct, Provisional(delay_s=0.0), 0),
        (StreamingWct, Provisional(max_error=0.3), 20),
    ],
)
def test_intervals_hold_95_per_cent_of_the_exact_values_of_coherent_noise(
    stream: PairStream, provisional: Provisional, gaps: int
) -> None:
    n = 30_000
    x, lost = signals(n, 1), np.zeros(n, np.bool_)
    for start in np.random.default_rng(11).integers(0, n, gaps):
        lost[start : start + 40] = True
    parts = covered(stream, x, lost, provisional)
    # The record has about 300 independent values of R² in each row, of which 5 % is 15 ± 4.
    assert (np.abs(parts - 0.95) <= 0.03).all(), parts


def test_errors_have_the_conditional_covariance_where_samples_are_missing() -> None:
    model = Autoregression(mean=2.0, coefs=np.array([1.6, -0.9]), variance=2.0)
    rng = np.random.default_rng(3)
    samples = rednoise(60, 0.9, rng=rng) + 2
    samples[[10, 11, *range(25, 32), *range(50, 60)]] = np.nan
    weights = rng.standard_normal((2, 60)) + 1j * rng.standard_normal((2, 60))
    innovations = np.sqrt(2.0) * rng.standard_normal((20_000, 60))
    value, errors = conditional_errors(weights, samples, model, innovations)
    mean, variance, pseudo = conditional_rows(weights, samples, model)
    assert np.allclose(value, mean)
    # The standard error of a mean of 20,000 squares of normal numbers is 1 % of it.
    assert np.allclose((np.abs(errors) ** 2).mean(axis=0), variance, rtol=0.04)
    assert (np.abs((errors**2).mean(axis=0) - pseudo) < 0.04 * variance).all()


def test_the_estimate_of_the_swapped_pair_has_the_opposite_phase() -> None:
    pairs = StreamingWct(**AXIS, pairs=((0, 1), (1, 0)), provisional=Provisional(delay_s=0))
    one, other = pairs.push(signals(2000, 2)).estimates
    assert np.allclose(one.values, other.values)
    assert np.allclose(one.phase, -other.phase)
    assert one.channels == (0, 1)


@pytest.mark.parametrize("stream", [StreamingXwt, StreamingWct])
def test_the_newest_estimate_depends_on_the_samples_and_not_on_their_division(
    stream: PairStream,
) -> None:
    provisional = Provisional(max_error=0.3)
    x = signals(2503, 8)
    x[1200:1230] = np.nan
    x[2480:2485, 1] = np.nan
    (whole,) = stream(**AXIS, provisional=provisional).push(x).estimates
    pieces, again = (stream(**AXIS, provisional=provisional) for _ in range(2))
    for piece in np.split(x[:1777], [1, 501, 565, 572, 1472]):
        pieces.push(piece)
    again.restore(msgpack.unpackb(msgpack.packb(pieces.snapshot())))
    for live in (pieces, again):
        live.push(x[1777:2000])
        (last,) = live.push(x[2000:]).estimates
        assert (last.samples == whole.samples).all()
        for one, other in zip(_fields(last), _fields(whole), strict=True):
            assert np.allclose(one, other, rtol=1e-6)


def _fields(estimate: PairEstimate) -> tuple[Array, ...]:
    return (estimate.values, estimate.phase, estimate.phase_halfwidth, *estimate.interval)


def test_a_copy_is_coherent_and_a_constant_channel_has_no_coherence() -> None:
    x = signals(3000, 4)[:, 0]
    stream = StreamingWct(
        **AXIS, channels=3, pairs=((0, 1), (0, 2)), provisional=Provisional(delay_s=0)
    )
    copy, constant = stream.push(np.array([x, x, np.full(3000, 7.0)]).T).estimates
    assert np.allclose(copy.values, 1)
    assert np.allclose(copy.interval, 1)
    assert np.allclose(copy.phase_halfwidth, 0, atol=1e-6)
    assert np.isnan(constant.values).all()
    assert "values none" in repr(constant)


def test_estimates_without_enough_samples_are_nan() -> None:
    stream = StreamingXwt(**AXIS, provisional=Provisional(delay_s=0))
    (now,) = stream.push(signals(20, 1)).estimates
    assert np.isnan(now.values).all()


def test_a_real_wavelet_is_refused() -> None:
    with pytest.raises(ValueError, match="need a complex wavelet"):
        StreamingWct(**AXIS, wavelet="dog", provisional=Provisional(delay_s=0))


def test_estimates_that_are_exact_but_for_rounding_do_not_change_the_scales() -> None:
    # 2.3 s is within the reach of the lowest row, but what is unknown weighs next to nothing.
    stream = StreamingWct(**AXIS, provisional=Provisional(delay_s=2.3))
    stream.push(signals(8000, 6))
    for octave in stream.calibration:
        assert octave[0].compared == 0
        assert (octave[0].scales == 1).all()
