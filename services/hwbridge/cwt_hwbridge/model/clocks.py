"""How many clocks the gateware takes, from how it works; tests hold this to its simulation.

The engine issues two taps in a clock, one filter right after the other. To that come the waits for
what a later step needs of an earlier one, below as constants.
"""

from __future__ import annotations

from cwt_hwbridge.model.filters import entry_at
from cwt_schemas.hwlink import SMOOTHING_BASE
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan

__all__ = ["bank_clocks_per_sample", "mc_clocks_per_instant"]

#: Taps in one clock, the clocks that the shortest filter takes, and the one after each.
_LANES = 2
_LEAST_BEATS = 8
_BETWEEN = 1

#: A sample is taken and stored; of a pair, it is also looked at.
_TAKING = 2
_TAKING_PAIR = 3

#: From the end of a decimator until its result is stored: in the bank; of a pair, rounded one after
#: the other.
_HALVING = 6
_HALVING_PAIR = 12

#: Noise is made one pair ahead, at this pace.
_NOISE_PAIR = 16

#: From the end of a row until all of its products can be smoothed.
_PRODUCTS = 19

#: From the end of the last smoothing to the first boxcar, and from that of the last boxcar to the
#: next instant; and the division of one ratio, for the while of which the next boxcar waits.
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
    """Return the mean number of clocks per binned instant of a pass of Monte Carlo.

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
    """Add up r0, r1, s0, r2, s1 ..., where a row's smoothing may have to wait for its products."""
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
