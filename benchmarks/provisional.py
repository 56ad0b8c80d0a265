"""Error of provisional values: ``python -m benchmarks.provisional`` writes the page.

Estimates a row at the newest sample, and at delays of a part of a period, with every method at the
same instants. The exact value is that of the whole record.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.io
import scipy.linalg
import scipy.signal
from numpy.typing import NDArray

from benchmarks.provisional_pairs import pair_cases, pair_section
from pycwt_mod import Estimate, Morlet, Provisional, VoiceGrid, cwt, rednoise
from pycwt_mod.streaming.provisional import Autoregression, Estimator

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-provisional.md"
RECORDING = (
    Path(__file__).parents[1] / "cli" / "cwt_cli" / "recordings" / "physio_mimic037_125hz.csv.gz"
)
#: Another recording, of 5.5 minutes; see the README there.
ALARM = Path(__file__).parents[1] / "tests" / "data" / "recordings" / "a103l.mat"
#: Bands of the rhythms in Hz.
HEART, BREATH = (0.9, 2.5), (0.15, 0.5)
#: Cases whose frequencies those of pairs are.
PAIRED = ("heart, pressure", "breath, pressure")
#: In periods of the row.
DELAYS = (0.0, 0.25, 0.5, 1.0)
#: Part of the RMS of a row above which its phase counts.
PHASE_FLOOR = 0.5
#: Segments of the record from which standard errors are estimated.
SEGMENTS = 12
#: Most instants at which estimates are compared.
INSTANTS = 1000
#: Periods before the first instant, and after the last one.
WARM_UP, REST = 70.0, 7.0

Numbers = NDArray[np.float64]
Values = NDArray[np.complex128]

INTRODUCTION = """\
# Error of provisional values

A [provisional value](library.md#provisional-values) is an estimate of a coefficient before the
future half of its wavelet has arrived. This page compares it, at delays from 0 to 1 period after
the instant that it is about, with what else can be computed from the same samples:

- **edge**: the transform of the samples so far, less their mean, with zeros after them.
- **renormalised edge**: the same, divided by the part of the wavelet's energy that is inside. The
  phase is that of the edge.
- **AR and Hilbert**: the method of Zrenner et al. (2020), "phastimate": zero-phase band-pass,
  {edge} periods at the end discarded, forecast by Yule-Walker AR({order}), Hilbert transform of a
  window of {window} periods. Its lengths are scaled to the row's period, its band is 0.77 to 1.3
  times the frequency. It was not tuned to these signals, and its filter is not the wavelet.
- **minimum phase**: the causal filter with the magnitude of the wavelet's response and the smallest
  delay. Its phase is corrected for a sinusoid at the row's frequency.

Columns:

- "phase" is the RMS error in radians where the exact |W| exceeds {floor:g} of its RMS, "amplitude"
  the RMS error of |W|, relative to the RMS of |W|.
- "ratio" is the phase error of the provisional value divided by that of the edge, with its standard
  error from {segments} segments of the record (jackknife).
- "√V" is the error of W that the model states, relative to its RMS and without calibration;
  "error" is the measured one.
- "covered" is the part of the exact values that lies in the stated 95 % intervals, and "scales" the
  factors of amplitude and phase by which the calibration has widened them at the end.

The recording is the one of `pycwt-mod demo`, ten minutes at 125 Hz; its rows are those with the
most power in the bands of heart and breath. "Alarm" is an independent recording, 5.5 minutes of
another patient around a false alarm of asystole (`a103l` of PhysioNet). Noises have {noise}
samples; the rhythm is an AR(2) with poles of radius 0.97 at the row's frequency.
`python -m benchmarks.provisional` computed the figures and wrote this page.

The constants of the model (samples per period, filter of the reduction, stretch, order) were chosen
among about 30 combinations by the errors of the first four rows. The rate at which intervals are
calibrated was chosen among four values: the one with the least loss of coverage on the noises.
Nothing was chosen by the figures of the alarm. Its rhythm changes within a few periods, and the
calibration follows with a delay, so its coverage is below 95 %.
"""

#: Of phastimate.m, in periods (there 65 and 128 samples, 50 in a period): the end that is cut off;
#: the length of the filter and of the transform's window. The last number is the model's order.
EDGE, WINDOW, ORDER = 1.3, 2.56, 30
#: Samples per period above which the rate is reduced.
PER_PERIOD = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A signal, and the frequency of a row."""

    name: str
    samples: Numbers
    fs_hz: float
    freq_hz: float

    @property
    def scale(self) -> float:
        """In samples."""
        return self.fs_hz / (self.freq_hz * Morlet().fourier_factor)

    def at(self) -> NDArray[np.int64]:
        """Return the newest samples at which estimates are compared, at most four in a period."""
        period = self.fs_hz / self.freq_hz
        first, last = int(WARM_UP * period), int(len(self.samples) - REST * period)
        return np.arange(first, last, max(1, int(period / 4), (last - first) // INSTANTS))

    def exact(self) -> Values:
        """Return the row of the whole record."""
        centred = self.samples - self.samples.mean()
        row = cwt(centred, 1 / self.fs_hz, freqs=[self.freq_hz]).coefs[0]
        return np.asarray(row, np.complex128)


def wavelet(case: Case) -> Values:
    """Return the weights ψ*(u/s)/√s of W(n) = Σ x(n + u) w(u), for u from -6 s to 6 s."""
    u = np.arange(-int(6 * case.scale), int(6 * case.scale) + 1)
    return np.asarray(np.conj(Morlet().psi(u / case.scale)) / np.sqrt(case.scale))


def edge(case: Case, lag: int) -> Values:
    """Return the transform with zeros after the newest sample."""
    weights = wavelet(case)
    half = len(weights) // 2
    kept = weights[: half + lag + 1]
    values = []
    for newest in case.at():
        end = newest + 1
        past = case.samples[max(0, end - int(WARM_UP * case.fs_hz / case.freq_hz)) : end]
        values.append((past[-len(kept) :] - past.mean()) @ kept)
    return np.array(values)


def renormalised(case: Case, lag: int) -> Values:
    """Return the edge divided by the energy inside."""
    size = np.abs(wavelet(case)) ** 2
    inside = size[: len(size) // 2 + lag + 1].sum() / size.sum()
    return np.asarray(edge(case, lag) / inside)


def minimum_phase(case: Case, lag: int) -> Values:
    """Return the output of the filter with the smallest delay, turned to the phase at `lag`."""
    n = scipy.fft.next_fast_len(16 * len(wavelet(case)))
    omega = 2 * np.pi * np.fft.fftfreq(n)
    gain = np.sqrt(2 * np.pi * case.scale) * np.where(
        omega > 0, np.real(Morlet().psi_ft(case.scale * omega)), 0.0
    )
    cepstrum = np.fft.ifft(np.log(np.maximum(gain, 1e-4 * gain.max())))
    folded = np.where(np.arange(n) < n // 2, 2.0, 0.0)
    folded[0] = 1
    filter_ = np.fft.ifft(np.exp(np.fft.fft(cepstrum * folded)))[: n // 2]
    at = 2 * np.pi * case.freq_hz / case.fs_hz
    response = filter_ @ np.exp(-1j * at * np.arange(len(filter_)))
    turn = np.exp(-1j * (np.angle(response) + at * lag))
    output = scipy.signal.fftconvolve(case.samples - case.samples.mean(), filter_)
    return np.asarray(output[case.at()] * turn)


def phastimate(case: Case, lag: int) -> Values:
    """Return what Zrenner et al. (2020) compute, in units of the row."""
    step = max(1, round(case.fs_hz / (PER_PERIOD * case.freq_hz)))
    rate = case.fs_hz / step
    cut, window = (round(periods * rate / case.freq_hz) for periods in (EDGE, WINDOW))
    taps = scipy.signal.firwin(
        window // 2 * 2 + 1, [0.77 * case.freq_hz, 1.3 * case.freq_hz], fs=rate, pass_zero=False
    )
    gain = np.sqrt(2 * np.pi * case.scale) / 2
    gain *= float(np.real(Morlet().psi_ft(case.scale * 2 * np.pi * case.freq_hz / case.fs_hz)))
    values = []
    for newest in case.at():
        count = 12 * window
        past = case.samples[max(0, newest + 1 - count * step) : newest + 1]
        past = (
            past[len(past) % step :].reshape(-1, step).mean(axis=1)
        )  # centred (step - 1)/2 before
        filtered = scipy.signal.filtfilt(taps, [1.0], past - past.mean())[cut:-cut]
        ahead = cut + window // 2
        auto = np.correlate(filtered, filtered, "full")[len(filtered) - 1 :][: ORDER + 1]
        coefs = scipy.linalg.solve_toeplitz(auto[:ORDER], auto[1 : ORDER + 1])
        continued = np.concatenate([filtered, np.zeros(ahead)])
        for t in range(len(filtered), len(continued)):
            continued[t] = coefs @ continued[t - ORDER : t][::-1]
        analytic = scipy.signal.hilbert(continued[-window - int(lag / step) - 1 :])
        newest_at = len(analytic) - 1 - window // 2
        position = newest_at - (lag - (step - 1) / 2) / step
        below = min(int(np.floor(position)), len(analytic) - 2)
        part = position - below
        turn = 2j * np.pi * case.freq_hz / rate
        values.append(
            (1 - part) * analytic[below] * np.exp(turn * part)
            + part * analytic[below + 1] * np.exp(turn * (part - 1))
        )
    return np.asarray(gain * np.array(values))


METHODS: dict[str, Callable[[Case, int], Values]] = {
    "edge": edge,
    "renormalised edge": renormalised,
    "AR and Hilbert": phastimate,
    "minimum phase": minimum_phase,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Provisionals:
    """Provisional values of a row, and what is stated about them."""

    values: Values
    std: Numbers
    amplitudes: tuple[Numbers, Numbers]
    halfwidths: Numbers
    scales: tuple[float, float]


def provisional(case: Case, lag: int) -> Provisionals:
    """Return the estimates of this library."""
    grid = VoiceGrid(
        fs_hz=case.fs_hz, fmin_hz=case.freq_hz, fmax_hz=case.freq_hz, voices_per_octave=1,
        wavelet=Morlet(),
    )  # fmt: skip
    estimator = Estimator(grid, 1, Provisional(delay_s=lag / case.fs_hz))
    estimates: list[Estimate] = []
    start = 0
    for newest in case.at():
        estimator.push(case.samples[start : newest + 1, None])
        estimates += estimator.estimates()
        start = newest + 1
    lows, highs = zip(*(each.amplitude_interval for each in estimates), strict=True)
    return Provisionals(
        values=np.array([each.values[0] for each in estimates]),
        std=np.array([each.std[0] for each in estimates]),
        amplitudes=(np.concatenate(lows), np.concatenate(highs)),
        halfwidths=np.array([each.phase_halfwidth[0] for each in estimates]),
        scales=(float(estimates[-1].amplitude_scale[0]), float(estimates[-1].phase_scale[0])),
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Errors at one delay; `phases` and `amplitudes` by method, this library's under ""."""

    case: str
    freq_hz: float
    delay: float
    phases: dict[str, float]
    amplitudes: dict[str, float]
    ratio: float
    ratio_error: float
    stated: float
    measured: float
    covered: tuple[float, float]
    scales: tuple[float, float]


def rms(values: NDArray[np.generic]) -> float:
    """Return the root of the mean square magnitude."""
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def outcome(case: Case, delay: float) -> Outcome:
    """Compare all methods at one delay, in periods."""
    lag = round(delay * case.fs_hz / case.freq_hz)
    exact = case.exact()[case.at() - lag]
    own = provisional(case, lag)
    values = {"": own.values, **{name: method(case, lag) for name, method in METHODS.items()}}
    strong = np.abs(exact) > PHASE_FLOOR * rms(exact)
    turns = {name: np.angle(each * np.conj(exact)) for name, each in values.items()}
    segments = np.arange(len(exact)) * SEGMENTS // len(exact)
    squares = [
        [float((turns[name][strong & (segments != k)] ** 2).sum()) for k in range(SEGMENTS)]
        for name in ("", "edge")
    ]
    without = np.sqrt(np.array(squares[0]) / np.array(squares[1]))  # the ratio without each segment
    low, high = own.amplitudes
    size = np.abs(exact)
    return Outcome(
        case=case.name, freq_hz=case.freq_hz, delay=delay,
        phases={name: rms(each[strong]) for name, each in turns.items()},
        amplitudes={name: rms(np.abs(each) - size) / rms(size) for name, each in values.items()},
        ratio=rms(turns[""][strong]) / rms(turns["edge"][strong]),
        ratio_error=float(np.sqrt((SEGMENTS - 1) * np.var(without))),
        stated=rms(own.std) / rms(exact),
        measured=rms(own.values - exact) / rms(exact),
        covered=(
            float(np.mean((low <= size) & (size <= high))),
            float(np.mean(np.abs(turns[""]) <= own.halfwidths)),
        ),
        scales=own.scales,
    )  # fmt: skip


def recording() -> Numbers:
    """Return ECG, pressure and respiration of the shipped recording, without gaps; (n, 3)."""
    samples = np.genfromtxt(RECORDING, delimiter=",", skip_header=3)
    for x in samples.T:
        lost = np.isnan(x)  # four samples of the pressure
        x[lost] = np.interp(np.flatnonzero(lost), np.flatnonzero(~lost), x[~lost])
    return samples


def recorded() -> Iterator[Case]:
    """Yield the rhythms of the shipped recording, and of the other one."""
    samples = recording()
    alarm = scipy.io.loadmat(ALARM)["val"].astype(float)
    for name, x, fs_hz, band in (
        ("heart, pressure", samples[:, 1], 125, HEART),
        ("heart, ECG", samples[:, 0], 125, HEART),
        ("breath, respiration", samples[:, 2], 125, BREATH),
        ("breath, pressure", samples[:, 1], 125, BREATH),
        ("alarm, ECG", alarm[0], 250, HEART),
        ("alarm, pulse", alarm[2], 250, HEART),
    ):
        freqs = np.geomspace(*band, 40)
        power = (np.abs(cwt(x - x.mean(), 1 / fs_hz, freqs=freqs).coefs) ** 2).mean(axis=1)
        yield Case(name=name, samples=x, fs_hz=fs_hz, freq_hz=float(freqs[np.argmax(power)]))


def noises(n: int) -> Iterator[Case]:
    """Yield noises whose model is known to be autoregressive."""
    for coef in (0.0, 0.9):
        yield Case(
            name=f"AR(1) noise, {coef:g}", samples=rednoise(n, coef, rng=1), fs_hz=50, freq_hz=5
        )
    rhythm = Autoregression(
        mean=0.0, coefs=np.array([2 * 0.97 * np.cos(0.2 * np.pi), -(0.97**2)]), variance=1.0
    )
    white = np.random.default_rng(2).standard_normal(n)
    x = scipy.signal.lfilter([1.0], [1.0, *-rhythm.coefs], white)
    yield Case(name="rhythm, AR(2)", samples=x, fs_hz=50, freq_hz=5)


def table(outcomes: list[Outcome]) -> str:
    """Return the tables of all cases in Markdown."""
    heads = ["delay", "provisional", *METHODS]
    own = ["delay", "ratio", "√V", "error", "amplitudes covered", "phases covered", "scales"]
    parts = []
    for name in dict.fromkeys(each.case for each in outcomes):
        lines = [each for each in outcomes if each.case == name]
        parts += [f"## {name}, {lines[0].freq_hz:.2g} Hz", ""]
        for title in ("phase", "amplitude"):
            parts += [_row([f"{title}: {heads[0]}", *heads[1:]]), "|---" * len(heads) + "|"]
            for each in lines:
                errors = each.phases if title == "phase" else each.amplitudes
                parts += [_row([f"{each.delay:g}", *(f"{error:.3f}" for error in errors.values())])]
            parts += [""]
        parts += [_row(own), "|---" * len(own) + "|"]
        for each in lines:
            cells = [f"{each.delay:g}", f"{each.ratio:.2f} ± {each.ratio_error:.2f}"]
            cells += [f"{each.stated:.3f}", f"{each.measured:.3f}"]
            cells += [f"{100 * part:.1f} %" for part in each.covered]
            cells += [", ".join(f"{scale:.2f}" for scale in each.scales)]
            parts += [_row(cells)]
        parts += [""]
    return "\n".join(parts)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def page(n: int = 20_000) -> str:
    """Compute and return the page; the noises have `n` samples."""
    cases = [*recorded(), *noises(n)]
    outcomes = [outcome(case, delay) for case in cases for delay in DELAYS]
    head = INTRODUCTION.format(
        edge=EDGE, order=ORDER, window=WINDOW, floor=PHASE_FLOOR, segments=SEGMENTS,
        noise=f"{n:,}",
    )  # fmt: skip
    heart, breath = (next(c for c in cases if c.name == name) for name in PAIRED)
    pairs = pair_cases(recording(), heart.freq_hz, breath.freq_hz, n)
    return f"{head}\n{table(outcomes)}\n{pair_section(list(pairs))}"


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provisional", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="file for the page")
    parser.parse_args(arguments).output.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
