"""Assemble blocks of results into a scalogram.

Results of one stream, analysis and channel set tile the time-frequency plane. Each octave has its
own time step, and its blocks arrive in any order, some of them twice. `Scalogram` keeps each block
once, and `Scalogram.resample` reads all octaves on one time grid. A rolling one keeps the newest
part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cwt_schemas.live import AnalysisResult

__all__ = ["Picture", "Scalogram"]

Real = npt.NDArray[np.floating[Any]]

#: Number of previous epochs and definitions of a rolling scalogram whose late blocks are
#: recognised.
MAX_RUNS = 16


@dataclass(frozen=True, kw_only=True)
class Picture:
    """All octaves on one time grid; arrays are (scale, time), unless another shape is given."""

    #: (time,) sample positions from the start of the epoch.
    samples: npt.NDArray[np.int64]
    #: (scale,), descending.
    freqs_hz: Real
    #: Real or complex, depending on the quantity of the analysis; NaN without a result.
    values: npt.NDArray[np.inexact[Any]]
    #: Radians, NaN without a result; None if the analysis has no phase.
    phase: Real | None
    #: True for values affected by missing data or an edge, or without a result.
    mask: npt.NDArray[np.bool_]
    #: (scale,) thresholds, NaN for a scale without one; None if the analysis has none.
    signif: Real | None
    #: Samples per second; None if the results do not state it.
    fs_hz: float | None

    @property
    def times_s(self) -> Real:
        """(time,) seconds from the start of the epoch.

        Raises
        ------
        ValueError
            The results do not state their rate.
        """
        if self.fs_hz is None:
            raise ValueError(
                "cannot convert to seconds: no rate is stated; divide `samples` by the stream's"
            )
        return self.samples / self.fs_hz


class Scalogram:
    """Collect the results of one channel set of one analysis.

    Without `keep_samples`, it collects all results of one epoch. With it, the scalogram is rolling:
    blocks that end more than `keep_samples` before the newest one are dropped, and a new epoch or
    definition clears it.

    Parameters
    ----------
    stream, analysis
        Stream and analysis of the results.
    channels
        One of the analysis's channel sets.
    keep_samples
        Length of a rolling scalogram, samples.
    """

    def __init__(
        self,
        stream: str,
        analysis: str,
        channels: tuple[str, ...],
        *,
        keep_samples: int | None = None,
    ) -> None:
        if keep_samples is not None and keep_samples < 1:
            raise ValueError(f"{keep_samples=} must be >= 1")
        self.stream = stream
        self.analysis = analysis
        self.channels = channels
        self.keep_samples = keep_samples
        #: Epochs and definitions so far; the last is the current one.
        self._runs: list[tuple[str, str]] = []
        self._blocks: dict[int, dict[int, AnalysisResult]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._blocks.values()))

    def add(self, result: AnalysisResult) -> bool:
        """Add a block; return False if it was added before, or is too old.

        Raises
        ------
        ValueError
            The block has another stream, analysis or channel set; or, unless the scalogram rolls,
            another epoch or definition.
        """
        here = (self.stream, self.analysis, self.channels)
        if (result.stream, result.analysis, result.channels) != here:
            raise ValueError(f"{result.id} is not a result of {' '.join((*here[:2], *here[2]))}")
        if not self._is_of_this_run(result):
            return False
        blocks = self._blocks.setdefault(result.octave, {})
        late = len(blocks) > 0 and _stop(result) <= self._start
        if late or result.t.first_sample in blocks:
            return False
        blocks[result.t.first_sample] = result
        self._let_go()
        return True

    def _is_of_this_run(self, result: AnalysisResult) -> bool:
        run = (result.epoch, result.spec_hash)
        if self._runs and run != self._runs[-1]:
            if self.keep_samples is None:
                raise ValueError(
                    f"{result.id} has another epoch or definition than earlier results"
                )
            if run in self._runs and not self._comes_back(result):
                return False
            self._blocks.clear()
        if not self._runs or run != self._runs[-1]:
            self._runs = [*(each for each in self._runs[-MAX_RUNS:] if each != run), run]
        return True

    def _comes_back(self, result: AnalysisResult) -> bool:
        """Return whether a block belongs to a definition that is used again, and is not a late one.

        A late block begins before the change, and the current blocks end after it.
        """
        return result.epoch == self._runs[-1][0] and result.t.first_sample >= self.end_sample

    @property
    def _start(self) -> int:
        """Position before which blocks are dropped."""
        if self.keep_samples is None or len(self) == 0:
            return 0
        return max(self.end_sample - self.keep_samples, 0)

    def _let_go(self) -> None:
        start = self._start
        if start == 0:
            return
        for octave, blocks in self._blocks.items():
            past = [first for first, block in blocks.items() if _stop(block) <= start]
            # The last block stays, because its rows are part of the scalogram even without new
            # results.
            for first in past if len(past) < len(blocks) else sorted(past)[:-1]:
                del self._blocks[octave][first]

    @property
    def freqs_hz(self) -> Real:
        """All frequencies so far, descending."""
        return -np.sort(-self._rows_hz)

    @property
    def _rows_hz(self) -> Real:
        return np.concatenate([_any(blocks).freqs_hz for blocks in self._octaves()])

    @property
    def step(self) -> int:
        """Interval of the columns of the highest octave, which has the most, in samples."""
        return min(_any(blocks).t.step for blocks in self._octaves())

    @property
    def first_sample(self) -> int:
        """Position of the first column of any octave."""
        return min(min(blocks) for blocks in self._octaves())

    @property
    def end_sample(self) -> int:
        """Position after the last column of any octave."""
        return max(_stop(blocks[max(blocks)]) for blocks in self._blocks.values() if blocks)

    def resample(self, n_columns: int, *, end: int | None = None) -> Picture:
        """Return the scalogram on `n_columns` instants between the first result and the last.

        Each octave contributes its nearest column, which is at most half its time step away; values
        are NaN if there is none that near.

        Parameters
        ----------
        n_columns
            Number of evenly spaced instants.
        end
            Position of the end. The last results of a recording extend beyond its end, masked, so
            pass its length.

        Raises
        ------
        ValueError
            There are no results yet.
        """
        if len(self) == 0:
            raise ValueError("no results yet")
        start = max(self.first_sample, self._start)
        stop = self.end_sample if end is None else max(min(end, self.end_sample), start + 1)
        return self.sampled(np.linspace(start, stop - 1, n_columns).astype(np.int64))

    def sampled(self, samples: npt.NDArray[np.int64]) -> Picture:
        """Return the scalogram at ascending positions, with the nearest column of each octave.

        Raises
        ------
        ValueError
            There are no results yet.
        """
        if len(self) == 0:
            raise ValueError("no results yet")
        octaves = self._octaves()
        parts = [_resampled(blocks, samples) for blocks in octaves]
        values = np.concatenate([part.values for part in parts])
        phase = _stacked([part.phase for part in parts], [p.values.shape for p in parts])
        signif = _stacked(
            [_any(blocks).signif for blocks in octaves],
            [_any(blocks).freqs_hz.shape for blocks in octaves],
        )
        rows = np.argsort(-self._rows_hz, kind="stable")
        return Picture(
            samples=samples,
            freqs_hz=self.freqs_hz,
            values=values[rows],
            phase=None if phase is None else phase[rows],
            mask=np.concatenate([part.mask for part in parts])[rows],
            signif=None if signif is None else signif[rows],
            fs_hz=_any(octaves[0]).fs_hz,
        )

    def _octaves(self) -> list[dict[int, AnalysisResult]]:
        """Return the blocks of each octave by first sample, the highest octave first."""
        kept = (blocks for blocks in self._blocks.values() if blocks)
        return sorted(kept, key=lambda blocks: -_any(blocks).freqs_hz.max())


@dataclass(frozen=True)
class _Rows:
    values: npt.NDArray[np.inexact[Any]]
    phase: Real | None
    mask: npt.NDArray[np.bool_]


def _stop(block: AnalysisResult) -> int:
    """Return the position after the last column of a block."""
    return block.t.first_sample + block.t.step * block.t.n


def _any(blocks: dict[int, AnalysisResult]) -> AnalysisResult:
    return next(iter(blocks.values()))


def _resampled(blocks: dict[int, AnalysisResult], samples: npt.NDArray[np.int64]) -> _Rows:
    """Return the rows of one octave at `samples`."""
    ordered = [blocks[first] for first in sorted(blocks)]
    positions = np.concatenate(
        [block.t.first_sample + block.t.step * np.arange(block.t.n) for block in ordered]
    )
    nearest = _nearest(positions, samples)
    step = ordered[0].t.step
    absent = 2 * np.abs(positions[nearest] - samples) > step
    values = np.concatenate([block.values for block in ordered], axis=1)[:, nearest]
    values[:, absent] = np.nan
    masks = [_mask(block) for block in ordered]
    mask = np.concatenate(masks, axis=1)[:, nearest] | absent
    phase = _stacked(
        [block.phase for block in ordered], [block.values.shape for block in ordered], axis=1
    )
    if phase is not None:
        phase = phase[:, nearest]
        phase[:, absent] = np.nan
    return _Rows(values, phase, mask)


def _nearest(positions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the index of the nearest of the ascending `positions` for each of `targets`."""
    after = np.clip(np.searchsorted(positions, targets), 1, max(len(positions) - 1, 1))
    after = np.minimum(after, len(positions) - 1)
    before = np.maximum(after - 1, 0)
    closer_before = np.abs(targets - positions[before]) <= np.abs(positions[after] - targets)
    return np.where(closer_before, before, after)


def _mask(block: AnalysisResult) -> npt.NDArray[np.bool_]:
    return np.zeros(block.values.shape, dtype=bool) if block.mask is None else block.mask


def _stacked(parts: list[Real | None], shapes: list[tuple[int, ...]], axis: int = 0) -> Real | None:
    """Join the parts, replacing None by NaN; None if all are None."""
    if all(part is None for part in parts):
        return None
    filled = [
        np.full(shape, np.nan) if part is None else part
        for part, shape in zip(parts, shapes, strict=True)
    ]
    return np.concatenate(filled, axis=axis)
