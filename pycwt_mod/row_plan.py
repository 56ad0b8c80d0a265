"""All rows of an analysis in groups, each at the length and the step that its band asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.fft

from pycwt_mod.arrays import Complexes, Convention, Floats, complex_dtype
from pycwt_mod.bandfold import folded_length, power_of_two_below
from pycwt_mod.bands import Band, used_bins
from pycwt_mod.row_groups import RowGroup
from pycwt_mod.wavelets import Wavelet

#: σ of the samples that rows are interpolated from: fewer would need longer kernels.
OVERSAMPLING = 2.0
#: Between these steps interpolation is faster than a longer FFT, and its tables are small.
_LEAST_STEP, _LARGEST_STEP = 4, 64
#: FFTs of more bytes are split into interleaved ones, to stay in the cache.
_CACHED_BYTES = 2**20
#: FFTs up to this length are computed as they are.
_SHORT_FFT = 2048
#: Part of the record by which rows that don't reach farther are padded.
_SHORT_PAD = 1 / 16


@dataclass(frozen=True, eq=False)
class RowPlan:
    """The filters of all scales for records of one length.

    Attributes
    ----------
    n, length : int
        Samples of a record, and what it is padded to.
    n_scales : int
    groups : tuple of RowGroup
    """

    n: int
    length: int
    n_scales: int
    groups: tuple[RowGroup, ...]

    @classmethod
    def build(
        cls,
        wavelet: Wavelet,
        scales: Floats,
        n: int,
        length: int,
        *,
        convention: Convention,
        dtype: np.dtype[Any],
        rtol: float,
        full_rate: bool,
    ) -> RowPlan:
        """Choose lengths and steps; `scales` in samples, `length` what the record is padded to.

        Rows that reach less than the padding of a shorter FFT don't see the difference; those
        that the Nyquist frequency cuts ring so far that they keep `length`.
        """
        band = Band.of(wavelet, rtol, convention)
        unit = power_of_two_below(max(n / 256, _LARGEST_STEP))
        short = folded_length(n * (1 + _SHORT_PAD), unit)
        members: dict[tuple[int, int, bool, int], list[int]] = {}
        for j, s in enumerate(scales.tolist()):
            near = short < length and not band.rings(s) and band.radius * s <= short - n
            fft_length = short if near else length
            first, last = used_bins(wavelet, band, s, s, convention, fft_length)
            step = critical_step(last - first + 1, fft_length)
            between = interpolation_step(band, s, fft_length) if full_rate else 0
            if full_rate and not between:
                in_cache = fft_length * complex_dtype(dtype).itemsize <= _CACHED_BYTES
                step = 1 if in_cache else min(step, 2)
            octave = octave_of(s) if between else 0
            members.setdefault((fft_length, between or step, between > 0, octave), []).append(j)
        groups = tuple(
            RowGroup.build(
                wavelet, scales[index], np.array(index), fft_length, step, convention=convention,
                dtype=dtype, rtol=rtol, interpolate=interpolate,
            )
            for (fft_length, step, interpolate, _), index in members.items()
        )  # fmt: skip
        return cls(n, length, len(scales), groups)

    def full(self, signal: Floats, spectrum: Complexes, workers: int = 1) -> Complexes:
        """Return the rows at every sample, shape (..., scales, n).

        `spectrum` is the signal's `rfft` at the length it is padded to.
        """
        shape = (*signal.shape[:-1], self.n_scales, self.n)
        out: Complexes = np.empty(shape, complex_dtype(signal.dtype))
        flat = out.reshape(-1, self.n_scales, self.n)
        spectra = {
            length: found.reshape(len(flat), -1)
            for length, found in self.spectra(signal, spectrum, workers).items()
        }
        run(
            (
                partial(group.write, spectra[group.length][k], rows, flat[k])
                for k in range(len(flat))
                for group in self.groups
                for rows in group.chunks()
            ),
            workers,
        )
        return out

    def spectra(
        self, signal: Floats, spectrum: Complexes, workers: int = 1
    ) -> dict[int, Complexes]:
        """Return the signal's spectra by FFT length; `spectrum` is the one of its padding."""
        lengths = {group.length for group in self.groups}
        return spectra_by_length(signal, spectrum, self.length, lengths, workers)


def spectra_by_length(
    signal: Floats, spectrum: Complexes, length: int, lengths: Iterable[int], workers: int
) -> dict[int, Complexes]:
    """Return `rfft` of each of `lengths`; `spectrum` is the one of `length`."""
    return {
        wanted: spectrum
        if wanted == length
        else scipy.fft.rfft(signal, wanted, axis=-1, workers=workers)
        for wanted in lengths
    }


def interpolation_step(band: Band, scale: float, length: int) -> int:
    """Return the step from which a row is interpolated; 0 where plain FFTs are faster."""
    if length <= _SHORT_FFT:
        return 0
    step = power_of_two_below(2 * math.pi / (OVERSAMPLING * band.octave_width(scale)))
    step = min(step, _LARGEST_STEP, power_of_two_in(length))
    return step if step >= _LEAST_STEP else 0


def octave_of(scale: float) -> int:
    """Return which octave a scale belongs to: rows of one have bands that hardly differ."""
    return math.floor(math.log2(scale))


def critical_step(bins: int, length: int) -> int:
    """Return the largest step that describes a row of so many FFT bins in full."""
    return min(power_of_two_below(length / bins), power_of_two_in(length))


def power_of_two_in(length: int) -> int:
    """Return the largest power of two that divides `length`."""
    return length & -length


def run(tasks: Iterable[Callable[[], object]], workers: int) -> None:
    """Run all tasks in up to `workers` threads, and raise what they raise."""
    if workers == 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()
