"""False positives of 5 % levels of coherence: ``python -m benchmarks.false_positives``.

Transforms pairs of unrelated AR(1) noises of n samples with the papers' formula, and counts the
values above the level outside the cone of influence at every scale. Prints one line per wavelet,
n, dj and AR(1) coefficient, in per cent, averaged over `--seeds` levels of 300 surrogate pairs:
the lowest and the highest count at any scale, and the highest with records of 6 s_max, with which
levels were simulated before they depended on n. The last column has the lowest and the highest
count when every pair has the level of its own estimated coefficients. The count has a standard
error of 0.2 to 0.3 at the longest periods.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from benchmarks.level_errors import wavelet_label
from pycwt_mod import DOG, CwtPlan, Morlet, Paul, Wavelet, ar1, inside_cone, plan, wct_significance
from pycwt_mod.rednoise import red_samples
from pycwt_mod.smoothing import ScaleBoxcar

Numbers = NDArray[np.float64]

SEEDS = 20
PAIRS = 12_000
QUICK_SEEDS, QUICK_PAIRS = 2, 100
#: Coefficients at which levels are simulated; estimated coefficients lie between them.
KNOTS = (-0.2, 0.1, 0.4, 0.65, 0.85, 0.97)
#: Count of numbers in a batch of rows.
_BATCH = 2**22
HEADINGS = ("wavelet", "n", "1/dj", "AR(1)", "with n", "6 s_max", "estimated AR(1)")


@dataclass(frozen=True)
class Case:
    """An analysis of noise."""

    wavelet: Wavelet
    n: int
    voices: int
    lag1: float

    @cached_property
    def plan(self) -> CwtPlan:
        """The scales of the analysis, as `wct` chooses them."""
        return plan(self.n, 1.0, 1 / self.voices, wavelet=self.wavelet)

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Mask of the values outside the cone of influence, shape (scales, n)."""
        return ~inside_cone(self.plan.freqs, self.plan.coi)

    def levels(self, first: float, second: float, seed: int, n: int | None) -> Numbers:
        """Return the 95 % level of every scale."""
        scales = self.plan.scales
        return np.asarray(
            wct_significance(
                first, second, 1.0, 1 / self.voices, float(scales[0]), len(scales) - 1,
                wavelet=self.wavelet, rng=seed, n=n,
            )
        )  # fmt: skip


def coherence(case: Case, x: Numbers, y: Numbers) -> NDArray[np.float32]:
    """Return R² of pairs of records, shape (pairs, n), by the formula at every sample and scale."""
    scales, length = case.plan.scales[:, None], case.plan.length
    omega = np.abs(2 * math.pi * scipy.fft.fftfreq(length)) * np.where(
        np.arange(length) <= length // 2, 1, -1
    )
    shape = np.conj(case.wavelet.psi_ft(scales * omega))
    if case.wavelet.analytic:
        shape = np.where(omega > 0, shape, 0)
    first, second = (
        scipy.fft.ifft(
            scipy.fft.fft((v - v.mean(axis=-1, keepdims=True)).astype(np.float32), length)[:, None]
            * shape.astype(np.complex64)
        )[..., : case.n]
        for v in (x, y)
    )
    gauss = np.exp(-((scales * omega) ** 2) / 2).astype(np.float32)
    boxcar = ScaleBoxcar.of(case.wavelet.deltaj0, 1 / case.voices, "standard")
    rows = slice(0, len(scales))
    s1, s2, cross = (
        boxcar.apply(
            scipy.fft.ifft(scipy.fft.fft(each, length) * gauss)[..., : case.n], rows
        )
        for each in (np.abs(first) ** 2, np.abs(second) ** 2, first * second.conj())
    )  # fmt: skip
    return np.asarray(np.clip(np.abs(cross) ** 2 / (s1.real * s2.real), 0, 1))


def rates(case: Case, levels: list[Numbers], pairs: int, *, estimated: bool) -> Numbers:
    """Return the false positives in per cent, shape (levels, scales); NaN inside the cone.

    With `estimated`, an additional row is for levels of estimated coefficients.
    """
    rng = np.random.default_rng(20_261_129)
    table = _LevelOfCoefficients(case) if estimated else None
    rows = len(levels) + estimated
    above = np.zeros((rows, len(case.plan.scales)))
    batch = max(1, _BATCH // (len(case.plan.scales) * case.plan.length))
    for start in range(0, pairs, batch):
        count = min(batch, pairs - start)
        x, y = red_samples(rng, (2, count, case.n), case.lag1)
        r2 = coherence(case, x, y)
        for k, level in enumerate(levels):
            above[k] += _above(case, r2, level)
        if table is not None:
            own = np.array([table(ar1(a).g, ar1(b).g) for a, b in zip(x, y, strict=True)])
            above[-1] += _above(case, r2, own)
    counted = case.valid.sum(axis=1) * pairs
    return np.asarray(100 * np.divide(above, counted, out=above * np.nan, where=counted > 0))


def _above(case: Case, r2: NDArray[np.float32], level: Numbers) -> NDArray[np.int64]:
    return np.asarray(np.count_nonzero((r2 > level[..., None]) & case.valid, axis=(0, 2)))


class _LevelOfCoefficients:
    """Levels for any two coefficients, interpolated between those of the knots."""

    def __init__(self, case: Case) -> None:
        size = len(KNOTS)
        self._levels = np.empty((size, size, len(case.plan.scales)))
        for i, j in combinations_with_replacement(range(size), 2):
            level = np.mean(
                [case.levels(KNOTS[i], KNOTS[j], seed, case.n) for seed in range(2)], axis=0
            )
            self._levels[i, j] = self._levels[j, i] = level

    def __call__(self, first: float, second: float) -> Numbers:
        (i, u), (j, v) = (_place(each) for each in (first, second))
        rows = (1 - u) * self._levels[i] + u * self._levels[i + 1]
        return np.asarray((1 - v) * rows[j] + v * rows[j + 1])


def _place(lag1: float) -> tuple[int, float]:
    """Return the lower knot of the interval of a coefficient, and the position within it."""
    lag1 = min(max(lag1, KNOTS[0]), KNOTS[-1])
    i = min(int(np.searchsorted(KNOTS, lag1, side="right")) - 1, len(KNOTS) - 2)
    return i, (lag1 - KNOTS[i]) / (KNOTS[i + 1] - KNOTS[i])


def cases() -> Iterator[Case]:
    """Yield all measurements; takes about eight minutes on one core."""
    yield Case(Morlet(), 60, 4, 0.1)
    yield Case(Morlet(), 60, 12, 0.7)
    for wavelet in (Paul(), DOG(2)):
        yield Case(wavelet, 60, 4, 0.1)
        yield Case(wavelet, 60, 4, 0.7)
    yield Case(Morlet(), 147, 4, 0.1)
    yield Case(Morlet(), 147, 4, 0.95)
    yield Case(Morlet(), 500, 4, 0.7)


def line(case: Case, seeds: int, pairs: int) -> tuple[str, ...]:
    """Return a line of the table."""
    new, old = (
        [case.levels(case.lag1, case.lag1, seed, n) for seed in range(seeds)]
        for n in (case.n, None)
    )
    found = rates(case, new + old, pairs, estimated=True)
    known, before = found[:seeds].mean(axis=0), found[seeds:-1].mean(axis=0)
    return (
        wavelet_label(case.wavelet), str(case.n), str(case.voices), str(case.lag1),
        _range(known), f"up to {np.nanmax(before):.1f}", _range(found[-1]),
    )  # fmt: skip


def _range(rates: Numbers) -> str:
    return f"{np.nanmin(rates):.1f} to {np.nanmax(rates):.1f}"


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.false_positives")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--quick", action="store_true", help="one case with little data")
    options = parser.parse_args(arguments)
    print(f"| {' | '.join(HEADINGS)} |")
    print("|---" * len(HEADINGS) + "|")
    seeds = options.seeds or (QUICK_SEEDS if options.quick else SEEDS)
    pairs = options.pairs or (QUICK_PAIRS if options.quick else PAIRS)
    for case in [Case(Morlet(), 40, 2, 0.3)] if options.quick else cases():
        print(f"| {' | '.join(line(case, seeds, pairs))} |", flush=True)


if __name__ == "__main__":
    main()
