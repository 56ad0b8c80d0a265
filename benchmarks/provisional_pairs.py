"""Error of provisional coherence and phase difference, for the page of `benchmarks.provisional`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pycwt_mod import Morlet, PairEstimate, Provisional, VoiceGrid, octave_layouts, rednoise, wct
from pycwt_mod import xwt as cross_transform
from pycwt_mod.streaming.provisional import PairEstimator
from pycwt_mod.streaming.provisional.products import row_products
from pycwt_mod.streaming.provisional.reduction import kernel_length, reduced

Operation = Literal["xwt", "wct"]
#: In periods of the row.
DELAYS = (0.0, 0.5, 1.0, 2.0)
#: Coherence, and part of the RMS of a cross spectrum, above which the phase counts.
FLOORS: dict[Operation, float] = {"wct": 0.5, "xwt": 0.5}
#: Most instants at which estimates are compared; periods before the first and after the last one.
INSTANTS, WARM_UP, REST = 1000, 70.0, 12.0
#: Row of the grid that is compared, whose neighbours are all in the grid.
ROW, VOICES = 4, 8

INTRODUCTION = """\
## Coherence and phase difference

The same for pairs of channels, from `StreamingXwt` (|W1 W2*|) and `StreamingWct` (R²). The "edge"
is the value with zeros after the newest sample. "error" is the RMS error of R², or that of |W1 W2*|
relative to its RMS; "width" is the mean width of the stated interval in the same unit. "phase" is
the RMS error in radians where R² exceeds {wct:g}, or |W1 W2*| {xwt:g} of its RMS. The noises are
AR(1), 0.9, alone ("unrelated") or with a common part that leads in the first channel by 0.1 s.

The recording has about 110 breaths after the first 70 periods, and their coherence changes within
it. Intervals must learn from errors of which few are independent, so coverage in the rows of the
breath depends on single events, and falls to 86 % for |W1 W2*| and R² of respiration and ECG. In
these rows, R² with zeros after the newest sample can be closer to the exact value than the
estimate.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairCase:
    """Signals of two channels, shape (n, 2), and the frequency of a row."""

    name: str
    samples: NDArray[np.float64]
    fs_hz: float
    freq_hz: float

    @property
    def grid(self) -> VoiceGrid:
        """One octave around the row."""
        half = 2 ** (ROW / VOICES)
        return VoiceGrid(
            fs_hz=self.fs_hz, fmin_hz=self.freq_hz / half, fmax_hz=self.freq_hz * half,
            voices_per_octave=VOICES, wavelet=Morlet(),
        )  # fmt: skip

    def at(self) -> NDArray[np.int64]:
        """Return the newest samples at which estimates are compared."""
        period = self.fs_hz / self.freq_hz
        first, last = int(WARM_UP * period), int(len(self.samples) - REST * period)
        return np.arange(first, last, max(1, int(period / 4), (last - first) // INSTANTS))

    def exact(self, op: Operation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the quantity of the whole record and its phase; each of shape (n,)."""
        axis = 1 / self.fs_hz, 1 / VOICES, float(self.grid.scales_s[0]), self.grid.n_voices - 1
        x, y = self.samples.T
        if op == "wct":
            result = wct(x, y, *axis, sig=False, phase_of="smoothed")
            return result.coherence[ROW], np.asarray(result.phase[ROW], np.float64)
        cross = cross_transform(x, y, *axis, normalize=False).cross[ROW]
        return np.abs(cross), np.angle(cross)

    def edge(self, op: Operation, lag: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the quantity and its phase with zeros after the newest sample."""
        grid = self.grid
        layout = octave_layouts(grid, op=op, hop_s=10 / self.freq_hz, convention="standard")[0]
        products = row_products(grid, layout, op, "standard", 0)
        step = products.kernels.step
        products = row_products(grid, layout, op, "standard", lag % step)
        delay = lag // step
        past = products.reach + delay + 1
        weights = products.row_weights(delay, past, 0)
        needed = (past - 1) * step + kernel_length(step)
        centred = self.samples - self.samples.mean(axis=0)
        known = np.stack([reduced(centred[t + 1 - needed : t + 1], step) for t in self.at()])
        one, other = (known[..., channel] @ weights.T for channel in (0, 1))
        values, cross = products.results(one, other)
        return values[:, ROW], np.asarray(np.angle(cross[:, ROW]), np.float64)

    def provisional(self, op: Operation, lag: int) -> list[PairEstimate]:
        """Return the estimates of this library."""
        layouts = octave_layouts(self.grid, op=op, hop_s=10 / self.freq_hz, convention="standard")
        options = Provisional(delay_s=lag / self.fs_hz)
        estimator = PairEstimator(self.grid, layouts, op, "standard", [(0, 1)], 2, options)
        estimates: list[PairEstimate] = []
        start = 0
        for newest in self.at():
            estimator.push(self.samples[start : newest + 1])
            estimates += estimator.estimates()
            start = newest + 1
        return estimates


def pair_cases(
    recording: NDArray[np.float64], heart_hz: float, breath_hz: float, n: int
) -> Iterator[PairCase]:
    """Yield pairs of the shipped recording (ECG, pressure, respiration), and noises."""
    for name, columns, freq_hz in (
        ("heart, ECG and pressure", (0, 1), heart_hz),
        ("breath, respiration and pressure", (2, 1), breath_hz),
        ("breath, respiration and ECG", (2, 0), breath_hz),
    ):
        yield PairCase(name=name, samples=recording[:, columns], fs_hz=125, freq_hz=freq_hz)
    noise = np.array([rednoise(n, 0.9, rng=seed) for seed in range(4)])
    common = np.array([noise[2], np.roll(noise[2], 5)])
    yield PairCase(name="noise, unrelated", samples=noise[:2].T, fs_hz=50, freq_hz=5)
    yield PairCase(name="noise, common part", samples=(noise[:2] + common).T, fs_hz=50, freq_hz=5)


def pair_table(case: PairCase, op: Operation) -> list[str]:
    """Return the lines of a table of one case in Markdown."""
    heads = ("delay", "error", "edge", "width", "values covered", "phase", "edge", "phases covered")
    lines = [f"### {'R²' if op == 'wct' else '|W1 W2*|'}: {case.name}, {case.freq_hz:.2g} Hz", ""]
    lines += [_row(heads), _row(["---"] * len(heads))]
    values, phases = case.exact(op)
    for delay in DELAYS:
        lag = round(delay * case.fs_hz / case.freq_hz)
        at = case.at() - lag
        value, phase = values[at], phases[at]
        own = case.provisional(op, lag)
        edge, edge_phase = case.edge(op, lag)
        unit = 1.0 if op == "wct" else _rms(value)
        low, high = (np.array([each.interval[end][ROW] for each in own]) for end in (0, 1))
        turn = _turn(np.array([each.phase[ROW] for each in own]), phase)
        inside = np.abs(turn) <= np.array([each.phase_halfwidth[ROW] for each in own])
        counted = value > FLOORS[op] * unit
        error = np.array([each.values[ROW] for each in own]) - value
        cells = [
            f"{delay:g}", f"{_rms(error) / unit:.3f}", f"{_rms(edge - value) / unit:.3f}",
            f"{(high - low).mean() / unit:.2f}",
            f"{100 * np.mean((low <= value) & (value <= high)):.1f} %",
            *(_radians(each, counted) for each in (turn, _turn(edge_phase, phase))),
            f"{100 * inside.mean():.1f} %",
        ]  # fmt: skip
        lines.append(_row(cells))
    return [*lines, ""]


def pair_section(cases: Sequence[PairCase]) -> str:
    """Return the section of the page."""
    tables = [line for case in cases for op in ("xwt", "wct") for line in pair_table(case, op)]
    return "\n".join([INTRODUCTION.format(**FLOORS), *tables])


def _turn(phase: NDArray[np.float64], exact: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.angle(np.exp(1j * (phase - exact))))


def _radians(turn: NDArray[np.float64], counted: NDArray[np.bool_]) -> str:
    """Return the RMS of the counted ones; a dash if they are fewer than a tenth."""
    return f"{_rms(turn[counted]):.3f}" if counted.mean() > 0.1 else "-"


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
