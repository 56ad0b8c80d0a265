"""The filter bank of ``docs/hardware-link.md``: rows in octaves made by a half-band filter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.driver import BankResult
from cwt_hwbridge.model.filters import Filters, entry_at
from cwt_hwbridge.model.ladder import Rung, halve
from cwt_hwbridge.model.rounding import SATURATIONS_MAX, Integers, limit
from cwt_schemas.hwlink import FILTERS, MAX_OCTAVES, MAX_ROWS, MAX_STEP
from cwt_schemas.hwplan import BankPlan

__all__ = ["FilterBank", "run_bank"]

#: Samples processed at a time, so that memory use does not grow with the recording.
_SAMPLES_AT_A_TIME = 1 << 15

Outputs = npt.NDArray[np.int16]


class FilterBank:
    """A filter bank fed piece by piece, independently of the sizes of the pieces.

    Parameters
    ----------
    plan : BankPlan

    Raises
    ------
    ValueError
        The plan exceeds the device's limits, or the table lacks a filter.
    """

    def __init__(self, plan: BankPlan) -> None:
        _check(plan)
        self._decimator = Filters(plan.table, [plan.decimator]) if plan.octaves > 1 else None
        self._groups = _groups_by_step(plan)
        lengths = [filters.length for _, _, filters in self._groups]
        if self._decimator is not None:
            lengths.append(self._decimator.length)
        self._rungs = [Rung(1, max(lengths) - 1) for _ in range(plan.octaves)]
        self._limited = 0

    @property
    def saturations(self) -> int:
        """Count of saturated numbers, as in the device."""
        return min(self._limited, SATURATIONS_MAX)

    def push(self, samples: npt.NDArray[np.int16]) -> Outputs:
        """Return the outputs due to `samples`, shape (n,); shape (outputs, 2)."""
        pieces = [
            self._push_piece(samples[first : first + _SAMPLES_AT_A_TIME])
            for first in range(0, len(samples), _SAMPLES_AT_A_TIME)
        ]
        return np.concatenate([np.zeros((0, 2), dtype=np.int16), *pieces])

    def _push_piece(self, samples: npt.NDArray[np.int16]) -> Outputs:
        fresh: Integers = samples.astype(np.int64)[np.newaxis]
        values, order = [], []
        for octave, rung in enumerate(self._rungs):
            rung.take(fresh)
            for step, rows, filters in self._groups:
                numbers = rung.due(step)
                if not len(numbers):
                    continue
                history = rung.back_from(numbers[0], filters.length)
                outputs, limited = limit(filters.both(history, 1 << step)[0], 16)
                self._limited += limited
                values.append(outputs.reshape(-1, 2))
                order.append(_rank(numbers, octave, rows).ravel())
            if self._decimator is not None and octave + 1 < len(self._rungs):
                fresh, limited = halve(rung, self._decimator)
                self._limited += limited
        if not values:
            return np.zeros((0, 2), dtype=np.int16)
        return np.concatenate(values)[np.argsort(np.concatenate(order))].astype(np.int16)


def run_bank(plan: BankPlan, samples: npt.NDArray[np.int16]) -> BankResult:
    """Run `samples`, shape (n,), through a new filter bank."""
    bank = FilterBank(plan)
    outputs = bank.push(samples)
    return BankResult(outputs=outputs, saturations=bank.saturations)


def _groups_by_step(plan: BankPlan) -> list[tuple[int, Integers, Filters]]:
    """Return the rows of each occurring step, and their filters."""
    steps = np.array([_row_step(plan, row) for row in range(plan.rows)])
    groups = []
    for step in range(MAX_STEP + 1):
        rows = np.flatnonzero(steps == step)
        if len(rows):
            groups.append((step, rows, Filters(plan.table, rows.tolist())))
    return groups


def _row_step(plan: BankPlan, row: int) -> int:
    return entry_at(plan.table, row).step


def _rank(numbers: Integers, octave: int, rows: Integers) -> Integers:
    """Sort outputs by the sample of octave 0 that triggers them, then octave, then row."""
    first_octave = numbers[:, np.newaxis] << octave
    return (first_octave * MAX_OCTAVES + octave) * MAX_ROWS + rows


def _check(plan: BankPlan) -> None:
    if not 1 <= plan.octaves <= MAX_OCTAVES:
        raise ValueError(f"{plan.octaves=} must be from 1 to {MAX_OCTAVES}")
    if not 1 <= plan.rows <= MAX_ROWS:
        raise ValueError(f"{plan.rows=} must be from 1 to {MAX_ROWS}")
    if not 0 <= plan.decimator < FILTERS:
        raise ValueError(f"{plan.decimator=} must be from 0 to {FILTERS - 1}")
