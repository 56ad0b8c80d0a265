"""Transforms of a signal that is still being recorded.

``push`` takes samples in pieces of any size and returns the blocks that they finish. Nothing is
read, written, or waited for: the caller brings the samples. Each block is computed by
`pycwt_mod.compute_block` from its own window, and equals the transform of the whole recording to
1e-5 of the row's RMS wherever its mask is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Never, TypeAlias

from pycwt_mod.arrays import Convention, check_level
from pycwt_mod.conditioning import Statistic
from pycwt_mod.engine.layout import VoiceGrid
from pycwt_mod.engine.pairs import all_pairs
from pycwt_mod.significance.degrees import check_degrees_of_freedom
from pycwt_mod.streaming.compute import Quantity
from pycwt_mod.streaming.provisional import (
    Estimate,
    Estimator,
    PairEstimate,
    PairEstimator,
    Provisional,
)
from pycwt_mod.streaming.stream import Analysis, Precision, Stream
from pycwt_mod.wavelets import WaveletLike, as_wavelet, with_deltaj0

Pair: TypeAlias = tuple[int, int]


class StreamingCwt(Stream[Estimate]):
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

    def _new_estimator(self) -> Estimator | None:
        if self._provisional is None:
            return None
        return Estimator(self.grid, self._analysis.channels, self._provisional)


class _PairStream(Stream[PairEstimate]):
    """A stream of products of two channels."""

    def _new_estimator(self) -> PairEstimator | None:
        if self._provisional is None:
            return None
        analysis = self._analysis
        return PairEstimator(
            self.grid, self.layouts, analysis.op, analysis.convention, analysis.sets,
            analysis.channels, self._provisional,
        )  # fmt: skip


class StreamingXwt(_PairStream):
    """The cross-wavelet transform W1 W2* of pairs of channels, in the signals' own units.

    Parameters
    ----------
    channels : int
        Columns of what is pushed.
    pairs : sequence of (int, int)
        Which columns; a positive phase means that the first one leads.
    provisional : Provisional, optional
        With this option, `push` also returns the newest estimates of |W1 W2*| and of the phase
        difference, with their errors. The wavelet must be complex.
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
        provisional: Provisional | None = None,
    ) -> None:
        analysis = Analysis(
            op="xwt", quantity=quantity, convention=convention, level=None, dtype=dtype,
            sets=_pairs(pairs), channels=channels,
        )  # fmt: skip
        grid = _grid(fs_hz, fmin_hz, fmax_hz, voices_per_octave, wavelet)
        super().__init__(grid, hop_s, analysis, provisional)


class StreamingWct(_PairStream):
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
    provisional : Provisional, optional
        With this option, `push` also returns the newest estimates of R² and its phase, with their
        errors. The wavelet must be complex.
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
        provisional: Provisional | None = None,
    ) -> None:
        analysis = Analysis(
            op="wct", quantity="coherence", convention=convention, dtype=dtype,
            level=None if level is None else check_level("level", level),
            sets=_pairs(all_pairs(channels) if pairs == "all" else pairs), channels=channels,
        )  # fmt: skip
        grid = _grid(fs_hz, fmin_hz, fmax_hz, voices_per_octave, wavelet)
        super().__init__(grid, hop_s, analysis, provisional)


class StreamingPwct(Stream[Never]):
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


class StreamingMwct(Stream[Never]):
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
    if len(given) == 0:
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
