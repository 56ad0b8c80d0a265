"""A stream of samples that is cut into windows, whose blocks are computed as they complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import Convention, check_count, time_first
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, VoiceGrid, octave_layouts
from pycwt_mod.streaming.block import LiveBlock
from pycwt_mod.streaming.compute import Quantity
from pycwt_mod.streaming.level import set_levels
from pycwt_mod.streaming.pairs import compute_sets
from pycwt_mod.streaming.provisional import Calibration, Provisional
from pycwt_mod.streaming.windower import CutWindow, Windower

#: Version of what `snapshot` returns.
SNAPSHOT = "pycwt_mod.streaming/1"

Precision: TypeAlias = Literal["float32", "float64"]
#: `Estimate` or `PairEstimate`.
E_co = TypeVar("E_co", covariant=True)


class StreamEstimator(Protocol[E_co]):
    """From the samples of a stream to provisional estimates."""

    @property
    def calibration(self) -> tuple[tuple[Calibration, ...], ...]:
        """Estimates compared with exact values, by octave and by channel or pair."""

    def push(self, samples: NDArray[np.generic]) -> None:
        """Take the next samples, shape (n, channels); NaN is missing."""

    def estimates(self) -> tuple[E_co, ...]:
        """Return the estimates after the newest sample."""

    def snapshot(self) -> dict[str, Any]:
        """Return the state as plain data."""

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from a `snapshot`."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a stream computes."""

    op: BlockOp
    quantity: Quantity
    convention: Convention
    sets: tuple[tuple[int, ...], ...]
    channels: int
    level: float | None
    dtype: Precision


class Pushed(tuple[LiveBlock, ...], Generic[E_co]):
    """The blocks that a push has finished, and the newest estimates.

    Attributes
    ----------
    estimates : tuple of Estimate or PairEstimate
        One for each channel or pair; empty without `provisional`.
    """

    estimates: tuple[E_co, ...]

    def __new__(  # noqa: D102
        cls, blocks: Iterable[LiveBlock], estimates: tuple[E_co, ...] = ()
    ) -> Pushed[E_co]:
        self = super().__new__(cls, blocks)
        self.estimates = estimates
        return self


class Stream(Generic[E_co]):
    """A windower, and `compute_blocks` for what it cuts."""

    def __init__(
        self,
        grid: VoiceGrid,
        hop_s: float,
        analysis: Analysis,
        provisional: Provisional | None = None,
    ) -> None:
        if analysis.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype={analysis.dtype!r} must be 'float32' or 'float64'")
        check_count("channels", analysis.channels)
        wrong = [c for each in analysis.sets for c in each if not 0 <= c < analysis.channels]
        if wrong:
            raise ValueError(f"channel {wrong[0]} must be below channels={analysis.channels}")
        self.grid = grid
        self.layouts: tuple[OctaveLayout, ...] = octave_layouts(
            grid, op=analysis.op, hop_s=hop_s, convention=analysis.convention
        )
        self._analysis = analysis
        self._described = {"grid": repr(grid), "hop_s": float(hop_s), **asdict(analysis)}
        if provisional is not None:
            self._described["provisional"] = asdict(provisional)
        self._provisional = provisional
        self._windower = self._new_windower(0)
        self._estimator = self._new_estimator()

    @property
    def calibration(self) -> tuple[tuple[Calibration, ...], ...]:
        """Estimates compared with exact values: for every octave, one for each channel or pair.

        Empty without `provisional`.
        """
        return () if self._estimator is None else self._estimator.calibration

    @property
    def n_samples(self) -> int:
        """Samples taken so far, skipped ones included."""
        return self._windower.end

    def push(self, samples: ArrayLike) -> Pushed[E_co]:
        """Take the next samples; return the blocks that they finish, and the newest estimates.

        Parameters
        ----------
        samples : array_like, shape (n,) or (n, channels)
            NaN, None and masked values are missing: what they may have touched is masked. An
            empty array is allowed. The rows of a data frame are the samples.

        Raises
        ------
        ValueError
            If the shape is wrong, or a value is infinite or no real number; nothing is taken.
        """
        array = time_first("samples", samples)
        if array.ndim == 1:
            array = array[:, None] if self._analysis.channels == 1 else array[None, :]
        if array.ndim != 2 or array.shape[1] != self._analysis.channels:
            raise ValueError(
                f"samples have shape {array.shape}, but must be "
                f"(n, {self._analysis.channels}), or one sample of every channel"
            )
        if np.isinf(array).any():
            raise ValueError("samples hold infinite values; missing samples are given as NaN")
        return self._pushed(array)

    def skip(self, n: int) -> Pushed[E_co]:
        """Take `n` missing samples, as after a loss, and return what `push` returns."""
        return self._pushed(np.full((check_count("n", n), self._analysis.channels), np.nan))

    def flush(self) -> tuple[LiveBlock, ...]:
        """Return the blocks that have begun, as at the end of the recording.

        What the samples that never came would have touched is masked. Samples pushed afterwards
        count for the blocks after these.
        """
        return self._computed(self._windower.flush())

    def snapshot(self) -> dict[str, Any]:
        """Return the state as dicts, lists, numbers, strings and bytes, fit for msgpack.

        It holds the samples that blocks to come still need.
        """
        first, held = self._windower.held()
        state: dict[str, Any] = {
            "format": SNAPSHOT,
            "analysis": _plain(self._described),
            "first_sample": first,
            "samples": held.astype(self._wire).tobytes(),
            "tiles": list(self._windower.next_tiles),
        }
        if self._estimator is not None:
            state["estimator"] = self._estimator.snapshot()
        return state

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the `snapshot` of a transform with the same arguments.

        Raises
        ------
        ValueError
            If it is of another version, or of a transform with other arguments; nothing changes.
        """
        if snapshot.get("format") != SNAPSHOT:
            raise ValueError(f"format={snapshot.get('format')!r} must be {SNAPSHOT!r}")
        theirs = snapshot["analysis"]
        mine = {name: _plain(value) for name, value in self._described.items()}
        differing = [n for n in {**mine, **theirs} if _plain(theirs.get(n)) != mine.get(n)]
        if differing:
            name = differing[0]
            raise ValueError(
                f"the snapshot is of {name}={theirs.get(name)!r}, this is {name}={mine.get(name)!r}"
            )
        held = np.frombuffer(snapshot["samples"], self._wire)
        windower = self._new_windower(int(snapshot["first_sample"]))
        windower.resume([int(tile) for tile in snapshot["tiles"]])
        again = windower.push(windower.end, held.reshape(-1, self._analysis.channels))
        if any(True for _ in again):
            raise ValueError("the snapshot holds samples of blocks that were finished before")
        estimator = self._new_estimator()
        if estimator is not None:
            estimator.restore(snapshot["estimator"])
        self._windower, self._estimator = windower, estimator

    @property
    def _wire(self) -> np.dtype[Any]:
        return np.dtype(self._analysis.dtype).newbyteorder("<")

    def _new_windower(self, first: int) -> Windower:
        dtype = np.dtype(self._analysis.dtype)
        return Windower(self.layouts, self._analysis.channels, first=first, dtype=dtype)

    def _new_estimator(self) -> StreamEstimator[E_co] | None:
        """Return what computes provisional estimates, if they were asked for."""
        return None

    def _pushed(self, samples: NDArray[np.generic]) -> Pushed[E_co]:
        blocks = self._computed(self._windower.push(self.n_samples, samples))
        if self._estimator is None:
            return Pushed(blocks)
        self._estimator.push(samples)
        return Pushed(blocks, self._estimator.estimates())

    def _computed(self, windows: Iterator[CutWindow]) -> tuple[LiveBlock, ...]:
        return tuple(block for window in windows for block in self._blocks(window))

    def _blocks(self, window: CutWindow) -> Iterator[LiveBlock]:
        layout, analysis = self.layouts[window.lane], self._analysis
        blocks = compute_sets(
            window.samples, analysis.sets, window_first=window.first, tile_first=window.tile.first,
            grid=self.grid, layout=layout, op=analysis.op, quantity=analysis.quantity,
            convention=analysis.convention,
        )  # fmt: skip
        levels = set_levels(
            analysis.op, window.samples, analysis.sets, grid=self.grid, layout=layout,
            convention=analysis.convention, level=analysis.level,
        )  # fmt: skip
        for channels, block, (signif, method) in zip(analysis.sets, blocks, levels, strict=True):
            # Blocks share the cached axes, masks and thresholds; the caller gets copies.
            yield LiveBlock(
                freqs_hz=block.freqs_hz.copy(), scales_s=block.scales_s.copy(),
                values=block.values, phase=block.phase, mask=block.mask.copy(),
                channels=channels, octave=layout.octave,
                first_sample=window.tile.first, step=layout.step,
                signif=None if signif is None else signif.copy(), signif_method=method,
            )  # fmt: skip


def _plain(value: object) -> object:
    """Return mappings as dicts and sequences as lists, as a decoder gives them back."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
