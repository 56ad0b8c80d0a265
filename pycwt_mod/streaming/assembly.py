"""Blocks put together to matrices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Summarised, percentage, span
from pycwt_mod.streaming.block import LiveBlock

__all__ = ["Assembled", "AssembledOctave", "assemble"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AssembledOctave(Summarised):
    """All blocks of one octave; column i is at sample ``first_sample + step * i``.

    Attributes
    ----------
    freqs_hz, scales_s : ndarray, shape (k,)
    first_sample, step : int
    values : ndarray, shape (k, n)
        NaN where no block came.
    phase : ndarray, shape (k, n), or None
    mask : ndarray of bool, shape (k, n)
        True where a gap or an end was felt, or no block came.
    """

    freqs_hz: NDArray[np.float64]
    scales_s: NDArray[np.float64]
    first_sample: int
    step: int
    values: NDArray[Any]
    phase: NDArray[Any] | None
    mask: NDArray[np.bool_]

    def _facts(self) -> dict[str, str]:
        return {
            "shape": str(self.values.shape),
            "dtype": str(self.values.dtype),
            "frequencies": span(self.freqs_hz, "Hz"),
            "first sample": str(self.first_sample),
            "step": str(self.step),
            "masked": percentage(self.mask),
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Assembled(Summarised):
    """All octaves of one channel or pair, highest first, each at its own rate.

    Attributes
    ----------
    octaves : tuple of AssembledOctave
    """

    octaves: tuple[AssembledOctave, ...]

    def _facts(self) -> dict[str, str]:
        return {
            "octaves": str(len(self.octaves)),
            "voices": str(len(self.freqs_hz)),
            "frequencies": span(self.freqs_hz, "Hz"),
            "steps": span(np.array([octave.step for octave in self.octaves])),
        }

    @property
    def freqs_hz(self) -> NDArray[np.float64]:
        """All frequencies, descending; shape (voices,)."""
        return np.concatenate([octave.freqs_hz for octave in self.octaves])

    @property
    def step(self) -> int:
        """Samples between the columns of the highest octave."""
        return self.octaves[0].step

    def matrix(self, samples: NDArray[np.integer] | None = None) -> tuple[NDArray[Any], ...]:
        """Return values and mask of all octaves on one time axis, as for a picture.

        Each octave gives its nearest column. At multiples of the longest step that is the value
        itself; in between, it is at most half the octave's step away.

        Parameters
        ----------
        samples : ndarray of int, shape (n,), optional
            Where; the columns of the highest octave if not given.

        Returns
        -------
        samples : ndarray of int, shape (n,)
        values : ndarray, shape (voices, n)
            NaN where no block came.
        mask : ndarray of bool, shape (voices, n)
        """
        if samples is None:
            top = self.octaves[0]
            samples = top.first_sample + top.step * np.arange(top.values.shape[1])
        parts = [_nearest(octave, samples) for octave in self.octaves]
        values, masks = zip(*parts, strict=True)
        return samples, np.concatenate(values), np.concatenate(masks)


def assemble(blocks: Iterable[LiveBlock], channels: tuple[int, ...] | None = None) -> Assembled:
    """Put blocks in their places, in whatever order they come.

    Parameters
    ----------
    blocks : iterable of LiveBlock
        Of one transform; of the same block twice the last one counts.
    channels : tuple of int, optional
        Which channel or pair; not needed if there is only one.

    Raises
    ------
    ValueError
        If there is no block, or `channels` is needed and not given.

    Examples
    --------
    >>> import numpy as np
    >>> from pycwt_mod import StreamingCwt
    >>> stream = StreamingCwt(fs_hz=64, fmin_hz=2, fmax_hz=16, hop_s=1, quantity="power")
    >>> blocks = stream.push(np.sin(np.arange(640) / 2)) + stream.flush()
    >>> whole = assemble(reversed(blocks))
    >>> samples, power, mask = whole.matrix()
    >>> power.shape == mask.shape == (len(whole.freqs_hz), len(samples))
    True
    """
    chosen = [block for block in blocks if channels in (None, block.channels)]
    there = sorted({block.channels for block in chosen})
    if not there:
        raise ValueError(f"there is no block of {channels=}" if channels else "there is no block")
    if len(there) > 1:
        raise ValueError(f"the blocks are of {there}: say which with channels=")
    octaves: dict[int, list[LiveBlock]] = {}
    for block in chosen:
        octaves.setdefault(block.octave, []).append(block)
    return Assembled(octaves=tuple(_joined(octaves[octave]) for octave in sorted(octaves)))


def _joined(blocks: list[LiveBlock]) -> AssembledOctave:
    any_one = blocks[0]
    step = any_one.step
    first = min(block.first_sample for block in blocks)
    width = max((b.first_sample - first) // step + b.values.shape[1] for b in blocks)
    shape = (len(any_one.freqs_hz), width)
    values = np.full(shape, np.nan, any_one.values.dtype)
    phase = None if any_one.phase is None else np.full(shape, np.nan, any_one.phase.dtype)
    mask = np.ones(shape, np.bool_)
    for block in blocks:
        column = (block.first_sample - first) // step
        here = slice(column, column + block.values.shape[1])
        values[:, here], mask[:, here] = block.values, block.mask != 0
        if phase is not None and block.phase is not None:
            phase[:, here] = block.phase
    return AssembledOctave(
        freqs_hz=any_one.freqs_hz.copy(), scales_s=any_one.scales_s.copy(),
        first_sample=first, step=step, values=values, phase=phase, mask=mask,
    )  # fmt: skip


def _nearest(
    octave: AssembledOctave, samples: NDArray[np.integer]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    column = np.rint((samples - octave.first_sample) / octave.step).astype(np.int64)
    width = octave.values.shape[1]
    there = (column >= 0) & (column < width)
    column = np.clip(column, 0, width - 1)
    values = np.where(there, octave.values[:, column], np.array(np.nan, octave.values.dtype))
    return values, octave.mask[:, column] | ~there
