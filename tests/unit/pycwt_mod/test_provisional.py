"""Provisional estimates: identities, errors by simulation, and the coverage of intervals."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from pycwt_mod import Estimate, Morlet, Paul, Provisional, StreamingCwt, VoiceGrid, cwt, rednoise
from pycwt_mod.streaming.provisional import (
    Autoregression,
    OctaveFit,
    estimate_rows,
    fit_autoregression,
    octave_fit,
)
from pycwt_mod.streaming.provisional.calibration import CalibrationCounter
from pycwt_mod.streaming.provisional.intervals import (
    amplitude_interval,
    error_points,
    phase_interval,
)
from pycwt_mod.streaming.provisional.kernels import model_step, row_kernels
from pycwt_mod.streaming.provisional.missing import conditional_rows
from pycwt_mod.streaming.provisional.reduction import kernel_length, reduced, response

Array = NDArray[Any]

FS = 200.0
#: The model of the lower octave is at half the rate.
GRID = VoiceGrid(fs_hz=FS, fmin_hz=3.2, fmax_hz=10.0, voices_per_octave=4, wavelet=Morlet())
AXIS: dict[str, Any] = {
    "fs_hz": FS, "fmin_hz": 3.2, "fmax_hz": 10.0, "voices_per_octave": 4, "hop_s": 1.0,
}  # fmt: skip
#: A rhythm near 6 Hz in noise: poles at 0.97 exp(± 2πi 6/100).
RHYTHM = Autoregression(
    mean=2.0, coefs=np.array([2 * 0.97 * np.cos(2 * np.pi * 6 / FS), -(0.97**2)]), variance=1.0
)


def noise_of(model: Autoregression, n: int, seed: int, records: int = 1) -> Array:
    """Return stationary noise of a model; shape (records, n)."""
    white = np.random.default_rng(seed).standard_normal((records, n + 2000))
    driven = np.sqrt(model.variance) * white
    return model.mean + lfilter([1], [1, *-model.coefs], driven, axis=1)[:, 2000:]


def rows_of(x: Array, octave: int) -> Array:
    freqs = GRID.freqs_hz[GRID.octave_slice(octave)]
    return cwt(x - x.mean(), 1 / FS, freqs=freqs).coefs


def fixed(octave: int, model: Autoregression, delay_s: float) -> OctaveFit:
    return octave_fit(GRID, octave, model, Provisional(delay_s=delay_s))


@pytest.mark.parametrize("octave", [0, 1])
@pytest.mark.parametrize("late", [0, 1])
def test_a_delay_beyond_the_wavelet_gives_the_exact_value_and_no_error(
    octave: int, late: int
) -> None:
    kernels = row_kernels(GRID, octave, late % model_step(GRID, octave))
    lag = kernels.reach * kernels.step + late
    x = rednoise(3000, 0.9, rng=1) + 5
    estimate = estimate_rows(fixed(octave, RHYTHM, lag / FS), x[:2000])
    exact = rows_of(x, octave)
    rms = np.sqrt((abs(exact) ** 2).mean(axis=1))
    # The wavelet is cut at 1e-5. At the reduced rate there are aliases, see STAGES.
    tolerance = (2e-5, 4e-4)[octave]
    assert (abs(estimate.values - exact[:, 1999 - lag]) < tolerance * rms).all()
    assert (estimate.variance <= 1e-20 * rms**2).all()


@pytest.mark.parametrize("delay_s", [0.0, 0.08])
def test_the_estimate_is_the_row_of_the_signal_continued_by_its_forecast(delay_s: float) -> None:
    fit = fixed(0, RHYTHM, delay_s)
    past, n = noise_of(RHYTHM, 600, 1)[0], 600
    whole = np.concatenate([past - RHYTHM.mean, np.zeros(400)])
    for t in range(n, len(whole)):
        whole[t] = RHYTHM.coefs @ whole[t - 1 : t - 3 : -1]
    exact = cwt(whole, 1 / FS, freqs=GRID.freqs_hz[:4], convention="pycwt").coefs
    at = n - 1 - round(delay_s * FS)
    estimate = estimate_rows(fit, past)
    assert np.allclose(estimate.values, exact[:, at], rtol=0, atol=2e-5 * fit.rms.max())


def test_the_forecast_of_white_noise_is_its_mean_so_the_estimate_is_the_edge_value() -> None:
    x = np.random.default_rng(1).standard_normal(700)
    white = Autoregression(mean=0.0, coefs=np.empty(0), variance=1.0)
    padded = np.concatenate([x, np.zeros(300)])
    edge = cwt(padded, 1 / FS, freqs=GRID.freqs_hz[:4], convention="pycwt").coefs[:, 699]
    estimate = estimate_rows(fixed(0, white, 0.0), x)
    assert np.allclose(estimate.values, edge, rtol=0, atol=1e-5)
    # Half of the energy of a wavelet is in its future half.
    power = fixed(0, white, 0.0).rms ** 2
    assert np.allclose(estimate.variance / power, 0.5, atol=0.1)


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2])
def test_variance_and_pseudo_variance_are_those_of_simulated_errors(delay_s: float) -> None:
    fit = fixed(0, RHYTHM, delay_s)
    records, n = 4000, 400
    x = noise_of(RHYTHM, n + 200, 2, records)
    kernels, lag = fit.kernels, round(delay_s * FS)
    estimates = (x[:, n - fit.weights.shape[1] : n] - RHYTHM.mean) @ fit.weights.T
    around = x[:, n - 1 - lag - kernels.reach : n - lag + kernels.reach] - RHYTHM.mean
    errors = around @ kernels.kappa.T - estimates
    # The standard error of a mean of 4000 squares of normal numbers is 2.2 % of it.
    assert np.allclose((abs(errors) ** 2).mean(0), fit.variance, rtol=0.09)
    assert (abs((errors**2).mean(0) - fit.pseudo_variance) < 0.09 * fit.variance).all()
    assert np.allclose((abs(around @ kernels.kappa.T) ** 2).mean(0), fit.rms**2, rtol=0.09)


def test_missing_samples_are_estimated_as_a_dense_normal_distribution_has_it() -> None:
    rng = np.random.default_rng(3)
    n = 120
    x = noise_of(RHYTHM, n, 4)[0]
    x[[30, 31, 60, 95, 96, 97, *range(110, 120)]] = np.nan
    weights = rng.standard_normal((3, n)) + 1j * rng.standard_normal((3, n))
    impulse = lfilter([1], [1, *-RHYTHM.coefs], np.eye(1, 4000)[0])
    auto = np.correlate(impulse, impulse, "full")[3999 : 3999 + n]
    covariance = auto[abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    lost = np.isnan(x)
    gain = np.linalg.solve(covariance[np.ix_(~lost, ~lost)], covariance[np.ix_(~lost, lost)]).T
    filled = x - RHYTHM.mean
    filled[lost] = gain @ filled[~lost]
    rest = covariance[np.ix_(lost, lost)] - gain @ covariance[np.ix_(~lost, lost)]
    values, variance, pseudo = conditional_rows(weights, x, RHYTHM)
    w = weights[:, lost]
    assert np.allclose(values, weights @ filled)
    assert np.allclose(variance, np.einsum("ri,ij,rj->r", w, rest, w.conj()).real)
    assert np.allclose(pseudo, np.einsum("ri,ij,rj->r", w, rest, w))


def test_without_gaps_the_general_estimate_equals_the_fast_one() -> None:
    fit = fixed(1, RHYTHM, 0.06)
    x = noise_of(RHYTHM, 1500, 5)[0]
    newest = reduced(x, fit.kernels.step)
    past, future = fit.weights.shape[1], fit.kernels.reach
    samples = np.concatenate([newest[-past:], np.full(future, np.nan)])
    weights = fit.kernels.shifted(fit.delays, 1 - past, past + future)
    values, variance, pseudo = conditional_rows(weights, samples, fit.model)
    fast = estimate_rows(fit, x)
    assert np.allclose(values, fast.values)
    assert np.allclose(variance, fast.variance)
    assert np.allclose(pseudo, fast.pseudo_variance)


def test_the_delay_for_a_maximum_error_is_the_smallest_one() -> None:
    fit = octave_fit(GRID, 0, RHYTHM, Provisional(max_error=0.2))
    assert (np.sqrt(fit.variance) <= 0.2 * fit.rms).all()
    for row, delay in enumerate(fit.delays):
        sooner = fixed(0, RHYTHM, (delay - 1) / FS)
        assert np.sqrt(sooner.variance[row]) > 0.2 * fit.rms[row]


def test_a_model_is_found_again_also_where_samples_are_missing() -> None:
    x = noise_of(RHYTHM, 4000, 6)[0]
    whole = fit_autoregression(x, order=2)
    x[np.random.default_rng(6).random(4000) < 0.1] = np.nan
    for model in (whole, fit_autoregression(x, order=2)):
        assert np.allclose(model.coefs, RHYTHM.coefs, atol=0.03)
        assert model.variance == pytest.approx(1, rel=0.1)
    # The highest orders have few errors without missing samples, which any model fits.
    assert 2 <= fit_autoregression(x).order <= 6


@pytest.mark.parametrize("x", [np.full(500, 7.0), np.array([1.0, np.nan, 2.0])])
def test_a_stretch_that_has_no_model_is_white_noise(x: Array) -> None:
    assert fit_autoregression(x).order == 0


@pytest.mark.parametrize("step", [1, 2, 8])
def test_the_reduction_is_the_filter_that_its_response_describes(step: int) -> None:
    n, theta = 64 * step, 0.3
    x = np.cos(theta / step * np.arange(n))
    z = reduced(x, step)
    assert len(z) == (n - kernel_length(step)) // step + 1
    at = n - 1 - step * np.arange(len(z))[::-1]
    assert np.allclose(z, (response(np.array(theta), step) * np.exp(1j * theta / step * at)).real)


def test_intervals_hold_95_per_cent_of_a_complex_normal_distribution() -> None:
    rng = np.random.default_rng(7)
    z = rng.standard_normal((200_000, 2)) @ np.array([[1.0, 0.0], [0.5, 0.3]])
    errors = z[:, 0] + 1j * z[:, 1]
    variance, pseudo = np.mean(abs(errors) ** 2), np.mean(errors**2)
    points = error_points(variance, pseudo)
    assert np.mean(abs(points) ** 2) == pytest.approx(variance, rel=0.02)
    for value in (0.0, 0.5 + 0.5j, 3 - 1j, 30j):
        given = np.array([value]), np.array([variance]), np.array([pseudo])
        low, high = amplitude_interval(*given).scaled(1.0)
        size = abs(value + errors)
        assert np.mean((low <= size) & (size <= high)) == pytest.approx(0.95, abs=0.012)
        if value:
            turn = np.angle((value + errors) * np.conj(value))
            half = phase_interval(*given).high
            assert np.mean(abs(turn) <= half) == pytest.approx(0.95, abs=0.012)


def test_the_scales_cover_95_per_cent_of_errors_that_the_model_does_not_have() -> None:
    # Errors of Student's t distribution with 2 degrees of freedom, which grow threefold halfway.
    rng = np.random.default_rng(13)
    errors = abs(rng.standard_t(2, (20_000, 2, 3)))
    errors[10_000:] *= 3
    counter = CalibrationCounter(("amplitude", "phase"), 3)
    for interval in errors.reshape(-1, 8, 2, 3):
        counter.add(interval, counter.scales)
    state = counter.state
    assert state.compared == 60_000
    # ln θ is at most 3 when it ends, so the misses differ from 5 % by at most 3 / (γ n) = 0.75 %.
    assert (state.scales < np.exp(3)).all()
    for coverage in state.coverage.values():
        assert coverage == pytest.approx(0.95, abs=0.0075)


def estimates_of(stream: StreamingCwt, x: Array, sizes: list[int]) -> list[Estimate]:
    pieces = np.split(x, np.cumsum(sizes))
    return [each for piece in pieces for each in stream.push(piece).estimates]


@pytest.mark.parametrize("provisional", [Provisional(max_error=0.3), Provisional(delay_s=0.055)])
def test_the_newest_estimate_depends_on_the_samples_and_not_on_their_division(
    provisional: Provisional,
) -> None:
    x = noise_of(RHYTHM, 2503, 8)[0]
    x[1200:1230] = np.nan
    whole = StreamingCwt(**AXIS, provisional=provisional).push(x).estimates[0]
    pieces, again = (StreamingCwt(**AXIS, provisional=provisional) for _ in range(2))
    estimates_of(pieces, x[:1777], [1, 500, 64, 7, 900])
    again.restore(msgpack.unpackb(msgpack.packb(pieces.snapshot())))
    for stream in (pieces, again):
        last = estimates_of(stream, x[1777:], [2, 300])[-1]
        assert np.allclose(last.values, whole.values, rtol=1e-9)
        assert np.allclose(last.variance, whole.variance, rtol=1e-9)
        assert (last.samples == whole.samples).all()
        assert last.newest_sample == 2502


def test_blocks_are_the_same_with_and_without_estimates() -> None:
    x = noise_of(RHYTHM, 1500, 9)[0]
    with_, without = StreamingCwt(**AXIS, provisional=Provisional(delay_s=0)), StreamingCwt(**AXIS)
    pushed = with_.push(x)
    for one, other in zip(pushed, without.push(x), strict=True):
        assert (one.values == other.values).all()
    assert pushed.estimates
    assert not without.push(x[:0]).estimates


def test_a_snapshot_that_does_not_fit_changes_nothing() -> None:
    x = noise_of(RHYTHM, 1500, 9)[0]
    with_, without = StreamingCwt(**AXIS, provisional=Provisional(delay_s=0)), StreamingCwt(**AXIS)
    with_.push(x)
    snapshot = with_.snapshot()
    for stream in (without, StreamingCwt(**AXIS, provisional=Provisional(delay_s=1))):
        with pytest.raises(ValueError, match="provisional="):
            stream.restore(snapshot)
    fresh = StreamingCwt(**AXIS, provisional=Provisional(delay_s=0))
    damaged = {name: each for name, each in snapshot.items() if name != "estimator"}
    with pytest.raises(KeyError):
        fresh.restore(damaged)
    assert fresh.n_samples == 0


def covered(x: Array, lost: Array) -> Array:
    """Return the part of amplitudes and phases that the intervals contained, and as counted.

    The stream does not have the samples that are `lost`, the exact values do.
    """
    stream = StreamingCwt(**AXIS, provisional=Provisional(max_error=0.3))
    exact = cwt(x, 1 / FS, freqs=GRID.freqs_hz, convention="pycwt").coefs
    last = len(x) - row_kernels(GRID, 1).reach * model_step(GRID, 1)
    amplitude, phase = [], []
    for piece in np.split(np.arange(last), np.arange(1500, last, 97)):
        (estimate,) = stream.push(np.where(lost, np.nan, x)[piece]).estimates
        truth = exact[np.arange(GRID.n_voices), estimate.samples]
        low, high = estimate.amplitude_interval
        amplitude.append((low <= abs(truth)) & (abs(truth) <= high))
        turn = np.angle(truth * np.conj(estimate.values))
        phase.append(abs(turn) <= estimate.phase_halfwidth)
    counted = [each for octave in stream.calibration for each in octave]
    inside = np.sum([each.covered for each in counted], axis=0)
    parts = inside / sum(each.compared for each in counted)
    return np.array([np.mean(amplitude), np.mean(phase), *parts.tolist()])


@pytest.mark.slow
@pytest.mark.parametrize(("coef", "gaps"), [(0.0, 0), (0.9, 0), (0.9, 20)])
def test_intervals_hold_95_per_cent_of_the_exact_values_of_red_noise(
    coef: float, gaps: int
) -> None:
    # The record has about 500 independent values of the highest row, of which 5 % is 25 ± 5.
    x, lost = rednoise(30_000, coef, rng=10), np.zeros(30_000, np.bool_)
    for start in np.random.default_rng(11).integers(0, len(x), gaps):
        lost[start : start + 40] = True
    parts = covered(x, lost)
    assert ((parts >= 0.93) & (parts <= 0.97)).all(), parts


def test_estimates_without_enough_samples_are_nan() -> None:
    estimate = StreamingCwt(**AXIS, provisional=Provisional(delay_s=0)).push([1.0, 2.0]).estimates
    assert np.isnan(estimate[0].values).all()
    assert "relative errors none" in repr(estimate[0])


def test_a_constant_channel_is_estimated_without_error() -> None:
    stream = StreamingCwt(**AXIS, provisional=Provisional(max_error=0.2))
    (estimate,) = stream.push(np.full(900, 4.0)).estimates
    assert (abs(estimate.values) < 1e-9).all()
    assert (estimate.order == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "pass one of them"),
        ({"max_error": 0.1, "delay_s": 0.0}, "pass one of them"),
        ({"max_error": 1.5}, "max_error=1.5"),
        ({"delay_s": -1.0}, "delay_s=-1.0"),
        ({"delay_s": float("nan")}, "delay_s=nan"),
        ({"delay_s": 0.0, "max_order": 0}, "max_order=0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Provisional(**options)


def test_a_real_wavelet_is_refused() -> None:
    with pytest.raises(ValueError, match="need a complex wavelet"):
        StreamingCwt(**AXIS, wavelet="dog", provisional=Provisional(delay_s=0))


def test_paul_has_estimates_too() -> None:
    axis = {**AXIS, "fmax_hz": 8.0}
    x = noise_of(RHYTHM, 4000, 12)[0]
    stream = StreamingCwt(**axis, wavelet=Paul(), provisional=Provisional(max_error=0.3))
    (estimate,) = stream.push(x[:3000]).estimates
    exact = cwt(x - x.mean(), 1 / FS, wavelet=Paul(), freqs=estimate.freqs_hz).coefs
    errors = [
        abs(v - exact[k, n])
        for k, (v, n) in enumerate(zip(estimate.values, estimate.samples, strict=True))
    ]
    assert (np.array(errors) < 3.5 * estimate.std).all()
