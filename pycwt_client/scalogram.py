"""Blocks of results put together to one picture.

Results of one stream, analysis and channel set tile the plane: each octave has its own time step,
and its blocks come in whatever order, some of them twice. `Scalogram` keeps each block once;
`Scalogram.resample` reads all octaves on one time grid. A rolling one keeps the newest stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cwt_schemas.live import AnalysisResult

__all__ = ["Picture", "Scalogram"]

Real = npt.NDArray[np.floating[Any]]

#: Epochs and definitions that a rolling picture has left, whose late blocks it knows.
MAX_RUNS = 16


@dataclass(frozen=True, kw_only=True)
class Picture:
    """All octaves on one time grid; arrays are (scale, time) unless they say otherwise."""

    #: (time,) sample positions from the start of the epoch; divided by the rate, seconds.
    samples: npt.NDArray[np.int64]
    #: (scale,), descending.
    freqs_hz: Real
    #: Real or complex as the analysis's quantity is; NaN where nothing came.
    values: npt.NDArray[np.inexact[Any]]
    #: Radians, NaN where nothing came; None if the results have none.
    phase: Real | None
    #: True where missing data or an edge touches the value, or nothing came.
    mask: npt.NDArray[np.bool_]
    #: (scale,), NaN where a scale has none; None if the results have none.
    signif: Real | None
    #: Samples per second; None if the results do not say.
    fs_hz: float | None

    @property
    def times_s(self) -> Real:
        """(time,) seconds from the start of the epoch.

        Raises
        ------
        ValueError
            The results are from before they said their rate.
        """
        if self.fs_hz is None:
            raise ValueError("the results do not say their rate: divide samples by the stream's")
        return self.samples / self.fs_hz


class Scalogram:
    """Collects the results of one channel set of one analysis.

    Without `keep_samples`, of one epoch, all of them. With it, a rolling picture: blocks that ended
    so long before the newest one are let go, and a new epoch or definition starts afresh.

    Parameters
    ----------
    stream, analysis
        Whose results.
    channels
        One of the analysis's channel sets.
    keep_samples
        How much of the stream a rolling picture shows.
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
            raise ValueError(f"{keep_samples=} has to be at least 1")
        self.stream = stream
        self.analysis = analysis
        self.channels = channels
        self.keep_samples = keep_samples
        #: Epoch and definition of what is shown, the latest of those there were.
        self._runs: list[tuple[str, str]] = []
        self._blocks: dict[int, dict[int, AnalysisResult]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._blocks.values()))

    def add(self, result: AnalysisResult) -> bool:
        """Put a block in its place; return False if it was there already, or is let go by now.

        Raises
        ------
        ValueError
            It belongs to other signals; or, unless the picture rolls, to another epoch, or to an
            analysis defined otherwise.
        """
        here = (self.stream, self.analysis, self.channels)
        if (result.stream, result.analysis, result.channels) != here:
            raise ValueError(f"{result.id} is no result of {' '.join((*here[:2], *here[2]))}")
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
                raise ValueError(f"{result.id} is of another epoch or definition than those before")
            if run in self._runs and not self._comes_back(result):
                return False
            self._blocks.clear()
        if not self._runs or run != self._runs[-1]:
            self._runs = [*(each for each in self._runs[-MAX_RUNS:] if each != run), run]
        return True

    def _comes_back(self, result: AnalysisResult) -> bool:
        """Tell a definition that is taken up again in this epoch from its late blocks.

        A late one begins before the change, and what is shown ends after it.
        """
        return result.epoch == self._runs[-1][0] and result.t.first_sample >= self.end_sample

    @property
    def _start(self) -> int:
        """Before this position nothing is kept."""
        if self.keep_samples is None or len(self) == 0:
            return 0
        return max(self.end_sample - self.keep_samples, 0)

    def _let_go(self) -> None:
        start = self._start
        if start == 0:
            return
        for octave, blocks in self._blocks.items():
            past = [first for first, block in blocks.items() if _stop(block) <= start]
            # The last one stays: its rows are part of the picture, though nothing came for long.
            for first in past if len(past) < len(blocks) else sorted(past)[:-1]:
                del self._blocks[octave][first]

    @property
    def freqs_hz(self) -> Real:
        """All frequencies so far, from the highest to the lowest."""
        return -np.sort(-self._rows_hz)

    @property
    def _rows_hz(self) -> Real:
        return np.concatenate([_any(blocks).freqs_hz for blocks in self._octaves()])

    @property
    def step(self) -> int:
        """Samples between two columns of the octave that has the most, the highest one."""
        return min(_any(blocks).t.step for blocks in self._octaves())

    @property
    def first_sample(self) -> int:
        """Position of the first column of any octave."""
        return min(min(blocks) for blocks in self._octaves())

    @property
    def end_sample(self) -> int:
        """Position right after the last column of any octave."""
        return max(_stop(blocks[max(blocks)]) for blocks in self._blocks.values() if blocks)

    def resample(self, n_columns: int, *, end: int | None = None) -> Picture:
        """Return the picture on `n_columns` instants between the first result and the last.

        Each octave gives its nearest column, which is at most half its own step away; farther
        ones would be another instant's value, so the picture has NaN there.

        Parameters
        ----------
        n_columns
            Instants, evenly spaced.
        end
            Position at which the picture stops. The last results of a recording reach beyond its
            end, masked: its length is where to stop.

        Raises
        ------
        ValueError
            Nothing came yet.
        """
        if len(self) == 0:
            raise ValueError("no results yet")
        start = max(self.first_sample, self._start)
        stop = self.end_sample if end is None else max(min(end, self.end_sample), start + 1)
        return self.sampled(np.linspace(start, stop - 1, n_columns).astype(np.int64))

    def sampled(self, samples: npt.NDArray[np.int64]) -> Picture:
        """Return the picture at these ascending positions, each octave's nearest column as above.

        Raises
        ------
        ValueError
            Nothing came yet.
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
        """Return the blocks of each octave by their first sample, the highest octave first."""
        kept = (blocks for blocks in self._blocks.values() if blocks)
        return sorted(kept, key=lambda blocks: -_any(blocks).freqs_hz.max())


@dataclass(frozen=True)
class _Rows:
    values: npt.NDArray[np.inexact[Any]]
    phase: Real | None
    mask: npt.NDArray[np.bool_]


def _stop(block: AnalysisResult) -> int:
    """Return the position right after the last column."""
    return block.t.first_sample + block.t.step * block.t.n


def _any(blocks: dict[int, AnalysisResult]) -> AnalysisResult:
    return next(iter(blocks.values()))


def _resampled(blocks: dict[int, AnalysisResult], samples: npt.NDArray[np.int64]) -> _Rows:
    """Read the rows of one octave at `samples`."""
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


def _nearest(positions: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return, for each of `wanted`, the index of the nearest of the ascending `positions`."""
    after = np.clip(np.searchsorted(positions, wanted), 1, max(len(positions) - 1, 1))
    after = np.minimum(after, len(positions) - 1)
    before = np.maximum(after - 1, 0)
    closer_before = np.abs(wanted - positions[before]) <= np.abs(positions[after] - wanted)
    return np.where(closer_before, before, after)


def _mask(block: AnalysisResult) -> npt.NDArray[np.bool_]:
    return np.zeros(block.values.shape, dtype=bool) if block.mask is None else block.mask


def _stacked(parts: list[Real | None], shapes: list[tuple[int, ...]], axis: int = 0) -> Real | None:
    """Join the parts, NaN standing for those that are None; None if all are."""
    if all(part is None for part in parts):
        return None
    filled = [
        np.full(shape, np.nan) if part is None else part
        for part, shape in zip(parts, shapes, strict=True)
    ]
    return np.concatenate(filled, axis=axis)
