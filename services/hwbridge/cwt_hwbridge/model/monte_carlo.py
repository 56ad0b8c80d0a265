"""Monte Carlo of coherence as in ``docs/hardware-link.md``: one pass, one octave."""

from __future__ import annotations

import numpy as np

from cwt_hwbridge.driver import McResult
from cwt_hwbridge.model.filters import Filters
from cwt_hwbridge.model.ladder import Rung, halve
from cwt_hwbridge.model.noise import AutoregressiveNoise
from cwt_hwbridge.model.rounding import SATURATIONS_MAX, Integers, limit, rnd
from cwt_schemas.hwlink import (
    FILTERS,
    HISTOGRAM_BINS,
    MAX_SHIFT,
    MAX_STEP,
    MC_MAX_BINNED_ROWS,
    MC_MAX_DECIMATIONS,
    MC_MAX_NOISE_SHIFT,
    MC_MAX_ROWS,
    MC_MAX_SMOOTHING_TAPS,
    MC_MAX_TAPS,
    SMOOTHING_BASE,
)
from cwt_schemas.hwlink_layouts import McStart
from cwt_schemas.hwplan import McPlan

__all__ = ["McPass", "run_mc"]

#: Samples of noise processed at a time.
_SAMPLES_AT_A_TIME = 1 << 15


class McPass:
    """A pass computed piece by piece, so that its caller can check a deadline in between.

    Parameters
    ----------
    plan : McPlan

    Raises
    ------
    ValueError
        The plan exceeds the device's limits, or the table lacks a filter.
    """

    def __init__(self, plan: McPlan) -> None:
        start = plan.start
        _check(start)
        self._start = start
        table = plan.table
        self._rows = Filters(table, range(start.rows), longest=MC_MAX_TAPS)
        self._smoothing = [
            Filters(table, [SMOOTHING_BASE + row], longest=MC_MAX_SMOOTHING_TAPS)
            for row in range(start.rows)
        ]
        self._boxcar = Filters(table, [start.boxcar], longest=MC_MAX_SMOOTHING_TAPS)
        _check_boxcar(start, self._boxcar.length)
        self._noise = AutoregressiveNoise(start.seed, start.a1, start.a2, start.noise_shift)
        self._ladder = []
        if start.decimations:
            decimator = Filters(table, [start.decimator], longest=MC_MAX_TAPS)
            memory = decimator.length - 1
            self._ladder = [(Rung(2, memory), decimator) for _ in range(start.decimations)]
        self._last = Rung(2, self._rows.length - 1)
        self._products = [Rung(4, smoothing.length - 1) for smoothing in self._smoothing]
        self._left = (start.warmup + start.instants) << (start.decimations + start.step)
        self._warmup_left = start.warmup
        self._limited = 0
        self._counts = np.zeros((start.count, HISTOGRAM_BINS), dtype=np.int64)
        #: Number of binned instants.
        self.done = 0

    @property
    def finished(self) -> bool:
        """Whether all instants are binned."""
        return self._left == 0

    def advance(self) -> None:
        """Process the next samples of noise."""
        count = min(_SAMPLES_AT_A_TIME, self._left)
        self._left -= count
        fresh = self._noise.samples(count)
        for rung, decimator in self._ladder:
            rung.take(fresh)
            fresh = self._counted(halve(rung, decimator))
        self._last.take(fresh)
        self._instants()

    def result(self) -> McResult:
        """Return the counts so far."""
        return McResult(
            histograms=self._counts.astype(np.uint32),
            saturations=min(self._limited, SATURATIONS_MAX),
        )

    def _counted(self, limited: tuple[Integers, int]) -> Integers:
        values, count = limited
        self._limited += count
        return values

    def _instants(self) -> None:
        numbers = self._last.due(self._start.step)
        if not len(numbers):
            return
        history = self._last.back_from(numbers[0], self._rows.length)
        rows = self._counted(limit(self._rows.both(history, 1 << self._start.step), 16))
        products = self._counted(limit(rnd(_products(rows), self._start.product_shift), 18))
        smoothed = self._smoothed(products)
        warm = min(self._warmup_left, smoothed.shape[1])
        self._warmup_left -= warm
        if warm < smoothed.shape[1]:
            self._bin(smoothed[:, warm:])

    def _smoothed(self, products: Integers) -> Integers:
        """Smooth in time; shape (4, instants, rows) in and out."""
        smoothed = np.empty_like(products)
        for row, (rung, smoothing) in enumerate(zip(self._products, self._smoothing, strict=True)):
            rung.take(products[:, :, row])
            history = rung.back_from(rung.count - rung.fresh + 1, smoothing.length)
            smoothed[:, :, row] = self._counted(limit(smoothing.real(history)[:, :, 0], 18))
        return smoothed

    def _bin(self, smoothed: Integers) -> None:
        start = self._start
        h = self._boxcar.length // 2
        neighbours = smoothed[:, :, start.first - h : start.first + start.count + h]
        # Reverse the neighbours, because tap 0 of a filter applies to the last sample.
        flat = neighbours[:, :, ::-1].reshape(-1, neighbours.shape[-1]).astype(np.float64)
        sums = self._boxcar.real(flat)[:, ::-1, 0]
        p1, p2, c, s = self._counted(limit(sums, 18)).reshape(4, -1, start.count)
        valid = (p1 > 0) & (p2 > 0)
        denominator = np.where(valid, p1 * p2, 1)
        bins = np.minimum(HISTOGRAM_BINS - 1, HISTOGRAM_BINS * (c**2 + s**2) // denominator)
        for row in range(start.count):
            found = bins[valid[:, row], row]
            self._counts[row] += np.bincount(found, minlength=HISTOGRAM_BINS)
        self.done += len(bins)


def run_mc(plan: McPlan) -> McResult:
    """Run a whole pass; raise ValueError as `McPass` does."""
    one = McPass(plan)
    while not one.finished:
        one.advance()
    return one.result()


def _products(rows: Integers) -> Integers:
    """Return |W1|², |W2|², and real and imaginary part of W1 W2*; shape (4, instants, rows)."""
    (re1, im1), (re2, im2) = np.moveaxis(rows, -1, 1)
    return np.stack(
        [re1**2 + im1**2, re2**2 + im2**2, re1 * re2 + im1 * im2, im1 * re2 - re1 * im2]
    )


def _check(start: McStart) -> None:
    limits = {
        "decimations": (0, MC_MAX_DECIMATIONS),
        "noise_shift": (0, MC_MAX_NOISE_SHIFT),
        "step": (0, MAX_STEP),
        "rows": (1, MC_MAX_ROWS),
        "count": (1, MC_MAX_BINNED_ROWS),
        "product_shift": (0, MAX_SHIFT),
        "decimator": (0, FILTERS - 1),
        "boxcar": (0, FILTERS - 1),
        "a1": (-(1 << 15), (1 << 15) - 1),
        "a2": (-(1 << 15), (1 << 15) - 1),
        "warmup": (0, 0xFFFFFFFF),
        "instants": (1, 0xFFFFFFFF),
    }
    for name, (least, most) in limits.items():
        value = getattr(start, name)
        if not least <= value <= most:
            raise ValueError(f"{name}={value} must be from {least} to {most}")


def _check_boxcar(start: McStart, length: int) -> None:
    h = length // 2
    if length % 2 == 0:
        raise ValueError(f"the boxcar's length={length} must be odd")
    if start.first < h or start.first + start.count + h > start.rows:
        raise ValueError(
            f"first={start.first} and count={start.count} must leave {h} rows on both sides "
            f"of rows={start.rows}"
        )
