"""Clock cycles that the gateware needs; tests compare them with its simulation.

The engine issues two taps per clock, one filter after the other. The constants below are the
additional waits of a step for the results of an earlier one.
"""

from __future__ import annotations

from cwt_hwbridge.model.filters import entry_at
from cwt_schemas.hwlink import SMOOTHING_BASE
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan

__all__ = ["bank_clocks_per_sample", "mc_clocks_per_instant"]

#: Taps per clock, clocks of the shortest filter, and idle clocks after each filter.
_LANES = 2
_LEAST_BEATS = 8
_BETWEEN = 1

#: Clocks to accept and store a sample; a sample of a pair is also examined.
_TAKING = 2
_TAKING_PAIR = 3

#: Clocks from the end of a decimator until its result is stored: in the bank, and for a pair, whose
#: results are rounded one after the other.
_HALVING = 6
_HALVING_PAIR = 12

#: Clocks per pair of noise samples, which are generated one pair ahead.
_NOISE_PAIR = 16

#: Clocks from the end of a row until all of its products can be smoothed.
_PRODUCTS = 19

#: Clocks from the end of the last smoothing to the first boxcar plus those from the last boxcar to
#: the next instant; and clocks of the division of one ratio, for which the next boxcar waits.
_AROUND_BOXCAR = 28
_DIVISION = 12


def bank_clocks_per_sample(plan: BankPlan) -> float:
    """Return the mean number of clocks per sample of octave 0 of a bank that never waits.

    Parameters
    ----------
    plan : BankPlan
    """
    entries = [entry_at(plan.table, row) for row in range(plan.rows)]
    rows = sum(_beats(plan.table, row) / (1 << entry.step) for row, entry in enumerate(entries))
    passed_over = plan.rows * (1 - 1 / (1 << min(entry.step for entry in entries)))
    visits = 2 - 2.0 ** (1 - plan.octaves)
    clocks = visits * (_TAKING + rows + passed_over)
    if plan.octaves > 1:
        clocks += (visits - 1) * (_beats(plan.table, plan.decimator) + _HALVING)
    return clocks


def mc_clocks_per_instant(plan: McPlan) -> float:
    """Return the mean number of clocks per binned instant of a Monte Carlo pass.

    Parameters
    ----------
    plan : McPlan
    """
    start = plan.start
    rows = [_beats(plan.table, row) for row in range(start.rows)]
    smoothing = [_beats(plan.table, SMOOTHING_BASE + row) for row in range(start.rows)]
    binning = start.count * max(_beats(plan.table, start.boxcar), _DIVISION)
    clocks = _rows_and_smoothing(rows, smoothing) + binning + _AROUND_BOXCAR
    samples = 1 << (start.decimations + start.step)
    if not start.decimations:
        return float(clocks + (samples - 1) * _NOISE_PAIR)
    halvings = ((1 << start.decimations) - 1) << start.step
    clocks += halvings * (_beats(plan.table, start.decimator) + _HALVING_PAIR)
    return float(clocks + samples // 2 * (_NOISE_PAIR + _TAKING_PAIR) - _TAKING_PAIR)


def _rows_and_smoothing(rows: list[int], smoothing: list[int]) -> int:
    """Sum r0, r1, s0, r2, s1 ..., where the smoothing of a row may wait for its products."""
    now = rows[0]
    multiplied = [now + _PRODUCTS]
    for row, beats in enumerate(smoothing):
        if row + 1 < len(rows):
            now += rows[row + 1]
            multiplied.append(now + _PRODUCTS)
        now = max(now, multiplied[row]) + beats
    return now


def _beats(table: FilterTable, place: int) -> int:
    entry = entry_at(table, place)
    pairs = -(-(entry.start % _LANES + entry.length) // _LANES)
    return max(pairs, _LEAST_BEATS) + _BETWEEN
