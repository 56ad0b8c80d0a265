"""The page's arithmetic sample by sample in Python's integers, for comparison only.

Written from the text of ``docs/hardware-link.md`` and shares nothing with the model but the plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cwt_schemas.hwlink import SMOOTHING_BASE
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan


@dataclass
class Sums:
    """Rounding and limiting, with the count of what was limited."""

    limited: int = 0

    def sat(self, value: int, bits: int) -> int:
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if low <= value <= high:
            return value
        self.limited += 1
        return low if value < low else high

    def fir(
        self, table: FilterTable, place: int, part: int, history: Sequence[int], bits: int
    ) -> int:
        """`history` has the newest sample last."""
        entry = dict(table.filters)[place]
        total = 0
        for m in range(min(entry.length, len(history))):
            total += int(table.coefficients[entry.start + m, part]) * history[-1 - m]
        return self.sat(rnd(total, entry.shift), bits)


def rnd(value: int, shift: int) -> int:
    return value if shift == 0 else (value + 2 ** (shift - 1)) // 2**shift


def bank(plan: BankPlan, samples: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Return the outputs and how many numbers were limited."""
    sums = Sums()
    outputs: list[tuple[int, int]] = []
    histories: list[list[int]] = [[] for _ in range(plan.octaves)]

    def sample(octave: int, value: int) -> None:
        history = histories[octave]
        history.append(value)
        for row in range(plan.rows):
            if len(history) % 2 ** dict(plan.table.filters)[row].step == 0:
                re, im = (sums.fir(plan.table, row, part, history, 16) for part in (0, 1))
                outputs.append((re, im))
        if len(history) % 2 == 0 and octave + 1 < plan.octaves:
            sample(octave + 1, sums.fir(plan.table, plan.decimator, 0, history, 16))

    for value in samples:
        sample(0, value)
    return outputs, sums.limited


def xorshift128(seed: bytes) -> Iterator[int]:
    x, y, z, w = (int.from_bytes(seed[i : i + 4], "little") for i in (0, 4, 8, 12))
    while True:
        t = x ^ (x << 11) & 0xFFFFFFFF
        x, y, z = y, z, w
        w = w ^ (w >> 19) ^ t ^ (t >> 8)
        yield w


def noise(plan: McPlan) -> Iterator[tuple[int, int]]:
    start = plan.start
    draws = xorshift128(start.seed)
    last = [0, 0]
    free = Sums()
    while True:
        for channel, a in enumerate((start.a1, start.a2)):
            e = -262140
            for _ in range(4):
                word = next(draws)
                e += (word & 0xFFFF) + (word >> 16)
            last[channel] = free.sat(rnd(a * last[channel], 15) + e // 2**start.noise_shift, 16)
        yield last[0], last[1]


@dataclass
class Pass:
    """One pass of Monte Carlo."""

    plan: McPlan
    sums: Sums = field(default_factory=Sums)
    instants: int = 0

    def __post_init__(self) -> None:
        start = self.plan.start
        levels = range(start.decimations + 1)
        self.histories: list[list[list[int]]] = [[[], []] for _ in levels]
        self.products: list[list[list[int]]] = [[[] for _ in range(4)] for _ in range(start.rows)]
        self.counts = [[0] * 256 for _ in range(start.count)]

    def run(self) -> None:
        pairs = noise(self.plan)
        while self.instants < self.plan.start.warmup + self.plan.start.instants:
            self.sample(0, next(pairs))

    def sample(self, level: int, pair: tuple[int, int]) -> None:
        start, table = self.plan.start, self.plan.table
        one, two = self.histories[level]
        one.append(pair[0])
        two.append(pair[1])
        if level < start.decimations:
            if len(one) % 2 == 0:
                first, second = (
                    self.sums.fir(table, start.decimator, 0, each, 16) for each in (one, two)
                )
                self.sample(level + 1, (first, second))
        elif len(one) % 2**start.step == 0:
            self.instant(one, two)

    def instant(self, one: list[int], two: list[int]) -> None:
        start, table, sums = self.plan.start, self.plan.table, self.sums
        smoothed = []
        for row in range(start.rows):
            re1, im1 = (sums.fir(table, row, part, one, 16) for part in (0, 1))
            re2, im2 = (sums.fir(table, row, part, two, 16) for part in (0, 1))
            exact = (
                re1 * re1 + im1 * im1,
                re2 * re2 + im2 * im2,
                re1 * re2 + im1 * im2,
                im1 * re2 - re1 * im2,
            )
            quads = []
            for history, value in zip(self.products[row], exact, strict=True):
                history.append(sums.sat(rnd(value, start.product_shift), 18))
                quads.append(sums.fir(table, SMOOTHING_BASE + row, 0, history, 18))
            smoothed.append(quads)
        if self.instants >= start.warmup:
            self.bin(smoothed)
        self.instants += 1

    def bin(self, smoothed: list[list[int]]) -> None:
        start, table = self.plan.start, self.plan.table
        boxcar = dict(table.filters)[start.boxcar]
        h = (boxcar.length - 1) // 2
        for row in range(start.first, start.first + start.count):
            totals = []
            for each in range(4):
                total = sum(
                    int(table.coefficients[boxcar.start + m, 0]) * smoothed[row - h + m][each]
                    for m in range(boxcar.length)
                )
                totals.append(self.sums.sat(rnd(total, boxcar.shift), 18))
            p1, p2, c, s = totals
            if p1 > 0 and p2 > 0:
                place = min(255, 256 * (c * c + s * s) // (p1 * p2))
                self.counts[row - start.first][place] += 1
