"""Computations of the device: a thin wrapper of the integer model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cwt_hwbridge.model import FilterBank, McPass, run_selftest
from cwt_schemas.hwlink import (
    COEFFICIENTS,
    FILTERS,
    MAX_SHIFT,
    MAX_STEP,
    MAX_TAPS,
    OUTPUTS_PER_FRAME,
    SAMPLE_ROOM,
    NakCode,
    State,
)
from cwt_schemas.hwlink_layouts import FilterEntry, McStart, Selftest
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan

T = TypeVar("T")


class RefusalError(Exception):
    """The request is refused."""

    def __init__(self, code: NakCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass
class Work:
    """Coefficients, filters, and the job that runs."""

    coefficients: npt.NDArray[np.int16] = field(
        default_factory=lambda: np.zeros((COEFFICIENTS, 2), np.int16)
    )
    filters: dict[int, FilterEntry] = field(default_factory=dict)
    state: State = State.IDLE
    job: int = 0
    position: int = 0
    fetched: int = 0
    outputs: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros((0, 2), np.int16))
    signature: int = 0
    done: int = 0
    total: int = 0
    made: int = 0
    saturations: int = 0
    #: Whether Monte Carlo makes no progress.
    held: bool = False
    _bank: FilterBank | None = None
    _mc: McPass | None = None
    _start: McStart | None = None

    def load_coefficients(self, first: int, values: npt.NDArray[np.int16]) -> None:
        self._free()
        _check(first + len(values) <= COEFFICIENTS)
        self.coefficients[first : first + len(values)] = values

    def load_filters(self, first: int, entries: list[FilterEntry]) -> None:
        self._free()
        _check(first + len(entries) <= FILTERS)
        for place, entry in enumerate(entries, first):
            _check(1 <= entry.length <= MAX_TAPS)
            _check(entry.start + entry.length <= COEFFICIENTS)
            _check(entry.shift <= MAX_SHIFT and entry.step <= MAX_STEP)
            self.filters[place] = entry

    def fir_start(self, job: int, octaves: int, rows: int, decimator: int) -> None:
        self._free()
        bank = _built(lambda: FilterBank(self._bank_plan(octaves, rows, decimator)))
        self._begin(State.FIR, job)
        self._bank, self.position, self.fetched = bank, 0, 0
        self.outputs = np.zeros((0, 2), np.int16)

    def fir_io(
        self, job: int, first: int, samples: npt.NDArray[np.int16]
    ) -> tuple[int, int, npt.NDArray[np.int16]]:
        if self.state is not State.FIR or job != self.job or self._bank is None:
            raise RefusalError(NakCode.JOB)
        if first != self.position % (1 << 32):
            raise RefusalError(NakCode.POSITION)
        if len(samples) > SAMPLE_ROOM:
            raise RefusalError(NakCode.NO_ROOM)
        self.position += len(samples)
        self.outputs = np.concatenate([self.outputs, self._bank.push(samples)])
        self.done, self.saturations = self.position, self._bank.saturations
        given = self.outputs[:OUTPUTS_PER_FRAME]
        at = self.fetched
        self.fetched += len(given)
        self.made = self.fetched + len(self.outputs) - len(given)
        self.outputs = self.outputs[OUTPUTS_PER_FRAME:]
        return at % (1 << 32), SAMPLE_ROOM, given

    def selftest(self, job: int, request: Selftest) -> None:
        self._free()
        _check(request.seed != 0 and request.samples != 0)
        plan = self._bank_plan(request.octaves, request.rows, request.decimator)
        found = _built(lambda: run_selftest(plan, seed=request.seed, samples=request.samples))
        self._begin(State.SELFTEST_DONE, job)
        self.done = self.total = request.samples
        self.made, self.signature = found.outputs, found.signature
        self.saturations = found.saturations

    def mc_start(self, job: int, start: McStart) -> None:
        running = self.state in {State.MC, State.MC_DONE}
        if running and job == self.job and self._start and start.seed == self._start.seed:
            return
        self._free()
        _check(any(start.seed))
        begun = _built(lambda: McPass(McPlan(table=self._table(), start=start)))
        self._begin(State.MC, job)
        self._mc, self._start, self.total = begun, start, start.instants

    def mc_counts(self, job: int, row: int, first: int, count: int) -> npt.NDArray[np.uint32]:
        if self.state not in {State.MC, State.MC_DONE} or job != self.job or self._mc is None:
            raise RefusalError(NakCode.JOB)
        histograms = self._mc.result().histograms
        _check(first + count <= histograms.shape[1] and row < 12)
        if row >= len(histograms):
            return np.zeros(count, np.uint32)
        return histograms[row, first : first + count]

    def abort(self) -> None:
        self.state = State.IDLE

    def go_on(self) -> None:
        """Work for a moment."""
        if self.state is State.MC and self._mc is not None and not self.held:
            self._mc.advance()
            self.done, self.saturations = self._mc.done, self._mc.result().saturations
            if self._mc.finished:
                self.state = State.MC_DONE

    def _free(self) -> None:
        if self.state in {State.FIR, State.SELFTEST, State.MC}:
            raise RefusalError(NakCode.BUSY)

    def _begin(self, state: State, job: int) -> None:
        self.state, self.job = state, job
        self.done = self.total = self.made = self.saturations = self.signature = 0

    def _table(self) -> FilterTable:
        return FilterTable(
            coefficients=self.coefficients, filters=tuple(sorted(self.filters.items()))
        )

    def _bank_plan(self, octaves: int, rows: int, decimator: int) -> BankPlan:
        return BankPlan(table=self._table(), octaves=octaves, rows=rows, decimator=decimator)


def _check(possible: bool) -> None:
    if not possible:
        raise RefusalError(NakCode.RANGE)


def _built(build: Callable[[], T]) -> T:
    try:
        return build()
    except ValueError:
        raise RefusalError(NakCode.RANGE) from None
