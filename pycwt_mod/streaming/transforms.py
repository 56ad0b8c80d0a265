"""Transforms of a signal that is still being recorded.

``push`` takes samples in pieces of any size and returns the blocks that they finish. Nothing is
read, written, or waited for: the caller brings the samples. Each block is computed by
`pycwt_mod.compute_block` from its own window, and equals the transform of the whole recording to
1e-5 of the row's RMS wherever its mask is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import Convention, check_count, check_level, time_first
from pycwt_mod.conditioning import Statistic
from pycwt_mod.engine.layout import BlockOp, OctaveLayout, VoiceGrid, octave_layouts
from pycwt_mod.engine.pairs import all_pairs
from pycwt_mod.significance.degrees import check_degrees_of_freedom
from pycwt_mod.streaming.block import LiveBlock
from pycwt_mod.streaming.compute import Quantity
from pycwt_mod.streaming.level import set_levels
from pycwt_mod.streaming.pairs import compute_sets
from pycwt_mod.streaming.provisional import Calibration, Estimate, Estimator, Provisional
from pycwt_mod.streaming.windower import CutWindow, Windower
from pycwt_mod.wavelets import WaveletLike, as_wavelet, with_deltaj0

#: Version of what `snapshot` returns.
SNAPSHOT = "pycwt_mod.streaming/1"

Precision: TypeAlias = Literal["float32", "float64"]


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


class Pushed(tuple[LiveBlock, ...]):
    """The blocks that a push has finished, and the newest estimates.

    Attributes
    ----------
    estimates : tuple of Estimate
        One for each channel; empty without `provisional`.
    """

    estimates: tuple[Estimate, ...]

    def __new__(  # noqa: D102
        cls, blocks: Iterable[LiveBlock], estimates: tuple[Estimate, ...] = ()
    ) -> Pushed:
        self = super().__new__(cls, blocks)
        self.estimates = estimates
        return self


class Stream:
    """A windower, and `compute_blocks` for what it cuts."""

    _estimator: Estimator | None = None

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
        self._windower = self._new_windower(0)
        if provisional is not None:
            self._estimator = Estimator(grid, analysis.channels, provisional)
            self._described["provisional"] = asdict(provisional)

    @property
    def calibration(self) -> tuple[tuple[Calibration, ...], ...]:
        """Estimates compared with exact values: for every octave, one for each channel.

        Empty without `provisional`.
        """
        return () if self._estimator is None else self._estimator.calibration

    @property
    def n_samples(self) -> int:
        """Samples taken so far, skipped ones included."""
        return self._windower.end

    def push(self, samples: ArrayLike) -> Pushed:
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

    def skip(self, n: int) -> Pushed:
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
        differing = [name for name in mine if _plain(theirs.get(name)) != mine[name]]
        if differing:
            name = differing[0]
            raise ValueError(
                f"the snapshot is of {name}={theirs.get(name)!r}, this is {name}={mine[name]!r}"
            )
        held = np.frombuffer(snapshot["samples"], self._wire)
        windower = self._new_windower(int(snapshot["first_sample"]))
        windower.resume([int(tile) for tile in snapshot["tiles"]])
        again = windower.push(windower.end, held.reshape(-1, self._analysis.channels))
        if any(True for _ in again):
            raise ValueError("the snapshot holds samples of blocks that were finished before")
        self._windower = windower
        if self._estimator is not None:
            self._estimator.restore(snapshot["estimator"])

    @property
    def _wire(self) -> np.dtype[Any]:
        return np.dtype(self._analysis.dtype).newbyteorder("<")

    def _new_windower(self, first: int) -> Windower:
        dtype = np.dtype(self._analysis.dtype)
        return Windower(self.layouts, self._analysis.channels, first=first, dtype=dtype)

    def _pushed(self, samples: NDArray[np.generic]) -> Pushed:
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


Pair: TypeAlias = tuple[int, int]


class StreamingCwt(Stream):
    """The wavelet transform of one or many channels, block by block.

    Parameters
    ----------
    fs_hz : float
        Sampling rate.
    fmin_hz, fmax_hz : float
        Lowest and highest frequency; `highest_freq_hz` says how high that may be.
    hop_s : float
        Time between blocks of the highest octave, doubled with each octave down.
    voices_per_octave : int
    channels : int
        Columns of what is pushed; each is transformed by itself.
    wavelet : Wavelet or {"morlet", "paul", "dog", "mexicanhat"}
    quantity : {"complex", "power", "amplitude", "phase"}
    convention : {"standard", "pycwt"}
    dtype : {"float64", "float32"}
        In which samples are held and blocks are computed.
    provisional : Provisional, optional
        With this option, `push` also returns the newest estimates, with their errors, of
        coefficients whose exact values come later. The wavelet must be complex.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> stream = StreamingCwt(fs_hz=100, fmin_hz=2, fmax_hz=16, hop_s=0.5)
    >>> signal = np.sin(2 * np.pi * 8 * np.arange(1000) / 100)
    >>> blocks = [block for piece in np.split(signal, 10) for block in stream.push(piece)]
    >>> blocks += stream.flush()
    >>> sorted({block.octave for block in blocks}), blocks[0].values.shape[0]
    ([0, 1, 2, 3], 12)
    """

    def __init__(
        self,
        *,
        fs_hz: float,
        fmin_hz: float,
        fmax_hz: float,
        hop_s: float,
        voices_per_octave: int = 12,
        channels: int = 1,
        wavelet: WaveletLike = "morlet",
        quantity: Quantity = "complex",
        convention: Convention = "standard",
        dtype: Precision = "float64",
        provisional: Provisional | None = None,
    ) -> None:
        analysis = Analysis(
            op="cwt", quantity=quantity, convention=convention, level=None, dtype=dtype,
            sets=tuple((channel,) for channel in range(channels)), channels=channels,
        )  # fmt: skip
        grid = _grid(fs_hz, fmin_hz, fmax_hz, voices_per_octave, wavelet)
        super().__init__(grid, hop_s, analysis, provisional)


class StreamingXwt(Stream):
    """The cross-wavelet transform W1 W2* of pairs of channels, in the signals' own units.

    Parameters
    ----------
    channels : int
        Columns of what is pushed.
    pairs : sequence of (int, int)
        Which columns; a positive phase means that the first one leads.
    fs_hz, fmin_hz, fmax_hz, hop_s, voices_per_octave, wavelet, quantity, convention, dtype
        As for `StreamingCwt`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(
        self,
        *,
        fs_hz: float,
        fmin_hz: float,
        fmax_hz: float,
        hop_s: float,
        voices_per_octave: int = 12,
        channels: int = 2,
        pairs: Sequence[Pair] = ((0, 1),),
        wavelet: WaveletLike = "morlet",
        quantity: Quantity = "complex",
        convention: Convention = "standard",
        dtype: Precision = "float64",
    ) -> None:
        analysis = Analysis(
            op="xwt", quantity=quantity, convention=convention, level=None, dtype=dtype,
            sets=_pairs(pairs), channels=channels,
        )  # fmt: skip
        grid = _grid(fs_hz, fmin_hz, fmax_hz, voices_per_octave, wavelet)
        super().__init__(grid, hop_s, analysis)


class StreamingWct(Stream):
    """Wavelet coherence R² and its phase, of pairs of channels.

    Parameters
    ----------
    channels : int
        Columns of what is pushed.
    pairs : "all" or sequence of (int, int)
        Which columns, or all pairs of them; a positive phase means that the first one leads.
    level : float or None
        With a number such as 0.95, every block has `signif`, the coherence that unrelated red
        noise exceeds with probability 1 - `level`.
    fs_hz, fmin_hz, fmax_hz, hop_s, voices_per_octave, wavelet, convention, dtype
        As for `StreamingCwt`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(
        self,
        *,
        fs_hz: float,
        fmin_hz: float,
        fmax_hz: float,
        hop_s: float,
        voices_per_octave: int = 12,
        channels: int = 2,
        pairs: Literal["all"] | Sequence[Pair] = ((0, 1),),
        level: float | None = None,
        wavelet: WaveletLike = "morlet",
        convention: Convention = "standard",
        dtype: Precision = "float64",
    ) -> None:
        analysis = Analysis(
            op="wct", quantity="coherence", convention=convention, dtype=dtype,
            level=None if level is None else check_level("level", level),
            sets=all_pairs(channels) if pairs == "all" else _pairs(pairs), channels=channels,
        )  # fmt: skip
        grid = _grid(fs_hz, fmin_hz, fmax_hz, voices_per_octave, wavelet)
        super().__init__(grid, hop_s, analysis)


class StreamingPwct(Stream):
    """Partial wavelet coherence of pairs of channels given others, and its phase; see `pwct`.

    Parameters
    ----------
    channels : int
        Columns of what is pushed.
    pairs : sequence of (int, int)
        Which columns; a positive phase means that the first one leads.
    given : sequence of int
        The columns that are taken into account.
    level : float or None
        As for `StreamingWct`; the thresholds are simulated once.
    deltaj0 : float, optional
        Width in octaves of the smoothing over scales, instead of the wavelet's.
    fs_hz, fmin_hz, fmax_hz, hop_s, voices_per_octave, wavelet, convention, dtype
        As for `StreamingCwt`.

    Raises
    ------
    ValueError
        If an argument is out of range, a channel is given and in a pair, or more are given than
        the smoothing can carry.
    """

    def __init__(
        self,
        *,
        fs_hz: float,
        fmin_hz: float,
        fmax_hz: float,
        hop_s: float,
        given: Sequence[int],
        voices_per_octave: int = 12,
        channels: int = 3,
        pairs: Sequence[Pair] = ((0, 1),),
        level: float | None = None,
        deltaj0: float | None = None,
        wavelet: WaveletLike = "morlet",
        convention: Convention = "standard",
        dtype: Precision = "float64",
    ) -> None:
        others = _given(given)
        sets = tuple((*pair, *others) for pair in _pairs(pairs))
        grid = _grid(fs_hz, fmin_hz, fmax_hz, voices_per_octave, with_deltaj0(wavelet, deltaj0))
        _check_sets(sets, grid, convention, "partial")
        analysis = Analysis(
            op="pwct", quantity="coherence", convention=convention, dtype=dtype,
            level=None if level is None else check_level("level", level),
            sets=sets, channels=channels,
        )  # fmt: skip
        super().__init__(grid, hop_s, analysis)


class StreamingMwct(Stream):
    """Multiple wavelet coherence of one channel with others; see `mwct`. It has no phase.

    Parameters
    ----------
    channels : int
        Columns of what is pushed.
    target : int
        Which column.
    given : sequence of int
        The columns that explain it.
    level, deltaj0
        As for `StreamingPwct`.
    fs_hz, fmin_hz, fmax_hz, hop_s, voices_per_octave, wavelet, convention, dtype
        As for `StreamingCwt`.

    Raises
    ------
    ValueError
        As for `StreamingPwct`.
    """

    def __init__(
        self,
        *,
        fs_hz: float,
        fmin_hz: float,
        fmax_hz: float,
        hop_s: float,
        target: int,
        given: Sequence[int],
        voices_per_octave: int = 12,
        channels: int = 3,
        level: float | None = None,
        deltaj0: float | None = None,
        wavelet: WaveletLike = "morlet",
        convention: Convention = "standard",
        dtype: Precision = "float64",
    ) -> None:
        sets = ((int(target), *_given(given)),)
        grid = _grid(fs_hz, fmin_hz, fmax_hz, voices_per_octave, with_deltaj0(wavelet, deltaj0))
        _check_sets(sets, grid, convention, "multiple")
        analysis = Analysis(
            op="mwct", quantity="coherence", convention=convention, dtype=dtype,
            level=None if level is None else check_level("level", level),
            sets=sets, channels=channels,
        )  # fmt: skip
        super().__init__(grid, hop_s, analysis)


def _given(given: Sequence[int]) -> tuple[int, ...]:
    if not given:
        raise ValueError(f"{given=} must be one or more channels")
    return tuple(int(each) for each in given)


def _check_sets(
    sets: tuple[tuple[int, ...], ...],
    grid: VoiceGrid,
    convention: Convention,
    statistic: Statistic,
) -> None:
    """Raise ValueError if a channel is in a set twice, or sets are too large for the smoothing."""
    for each in sets:
        if len(set(each)) < len(each):
            raise ValueError(f"channels {each} of one coherence must be different")
    spacing = 1 / grid.voices_per_octave
    check_degrees_of_freedom(grid.wavelet, spacing, convention, statistic, len(sets[0]))


def _grid(
    fs_hz: float, fmin_hz: float, fmax_hz: float, voices: int, wavelet: WaveletLike
) -> VoiceGrid:
    return VoiceGrid(
        fs_hz=fs_hz, fmin_hz=fmin_hz, fmax_hz=fmax_hz, voices_per_octave=voices,
        wavelet=as_wavelet(wavelet),
    )  # fmt: skip


def _pairs(pairs: Sequence[Pair] | str) -> tuple[Pair, ...]:
    if not pairs or isinstance(pairs, str) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{pairs=} must be one or more pairs of channels")
    return tuple((int(pair[0]), int(pair[1])) for pair in pairs)
