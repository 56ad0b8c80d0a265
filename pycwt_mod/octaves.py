"""The transform without redundancy: every octave at the rate that its band needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.fft

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Bools,
    Complexes,
    Convention,
    Floats,
    check_memory,
    complex_dtype,
)
from pycwt_mod.bands import Band, used_bins
from pycwt_mod.interpolation import Interpolation
from pycwt_mod.row_groups import RowGroup, fold
from pycwt_mod.row_plan import RowPlan, interpolation_step, octave_of, run
from pycwt_mod.wavelets import Wavelet


@dataclass(frozen=True, kw_only=True, eq=False)
class Octave:
    """The rows that share a sampling step.

    Attributes
    ----------
    scales, freqs : ndarray, shape (rows,)
        In units of `dt` and 1/`dt`.
    step : int
        D, a power of two: `coefs` holds the samples 0, D, 2D … of every row.
    coefs : ndarray, shape (..., rows, ceil(n/D)), complex
    mask : ndarray of bool, shape (..., rows, ceil(n/D))
        True within the cone of influence of a missing sample.
    """

    scales: Floats
    freqs: Floats
    step: int
    coefs: Complexes
    mask: Bools
    _group: RowGroup
    _circular: Complexes


@dataclass(frozen=True, kw_only=True, eq=False)
class MultirateResult:
    """What `multirate` returns.

    Attributes
    ----------
    octaves : tuple of Octave
        About twelve rows each with the default `dj`; time and memory are linear in n.
    scales, freqs : ndarray, shape (scales,)
        Of all octaves, in the order that was asked for.
    coi : ndarray, shape (n,)
        Longest Fourier period free of edge effects.
    n : int
        Samples of the signal.
    """

    octaves: tuple[Octave, ...]
    scales: Floats
    freqs: Floats
    coi: Floats
    n: int
    _wavelet: Wavelet
    _convention: Convention
    _rtol: float
    _dt: float

    def full(self, *, workers: int = 1, max_bytes: int = MEMORY_LIMIT_BYTES) -> Complexes:
        """Return the coefficients at every sample, as `cwt` does; shape (..., scales, n).

        Raises
        ------
        ValueError
            If the matrix would not fit `max_bytes`.
        """
        first = self.octaves[0].coefs
        shape = (*first.shape[:-2], len(self.scales), self.n)
        check_memory("the full matrix", int(np.prod(shape)) * first.dtype.itemsize, max_bytes)
        out: Complexes = np.empty(shape, first.dtype)
        flat = out.reshape(-1, *shape[-2:])
        band = Band.of(self._wavelet, self._rtol, self._convention)
        run(
            (
                partial(self._expand, octave, band, flat[k], k)
                for octave in self.octaves
                for k in range(len(flat))
            ),
            workers,
        )
        return out

    def _expand(self, octave: Octave, band: Band, out: Complexes, k: int) -> None:
        """Write the rows of an octave of signal `k`."""
        length = octave._group.length
        circular = octave._circular
        rows = circular.reshape(-1, *circular.shape[-2:])[k]
        similar: dict[tuple[int, int], list[int]] = {}
        for j, s in enumerate((octave.scales / self._dt).tolist()):
            key = interpolation_step(band, s, length), octave_of(s)
            similar.setdefault(key, []).append(j)
        for (step, _), some in similar.items():
            self._unfold(octave, band, rows, some, step, out)

    def _unfold(
        self,
        octave: Octave,
        band: Band,
        rows: Complexes,
        some: list[int],
        step: int,
        out: Complexes,
    ) -> None:
        """Write some rows with similar bands: spread out each band, and sample it densely."""
        group, length = octave._group, octave._group.length
        scales = octave.scales[some] / self._dt
        ends = [used_bins(self._wavelet, band, s, s, self._convention, length) for s in scales]
        first, last = min(low for low, _ in ends), max(high for _, high in ends)
        bins = np.arange(first, last + 1)
        gain = np.full(len(bins), float(group.step))
        kernel = None
        if step:
            omega = bins * (2 * np.pi / length)
            kernel = Interpolation.build(
                step, length / (step * len(bins)), self._rtol, dtype=rows.real.dtype,
                centre=(omega[0] + omega[-1]) / 2,
            )  # fmt: skip
            gain *= kernel.correction(omega) / step
        for j, (low, high) in zip(some, ends, strict=True):
            weights = np.where((bins >= low) & (bins <= high), gain, 0).astype(rows.real.dtype)
            spectrum = scipy.fft.fft(rows[j])[bins % rows.shape[-1]]
            dense = scipy.fft.ifft(fold(spectrum, weights, first, length // (step or 1)))
            if kernel is None:
                out[group.index[j]] = dense[: self.n]
            else:
                kernel.write(dense, out[group.index[j]])


def octave_samples(
    plan: RowPlan, signal: Floats, spectrum: Complexes, workers: int
) -> list[Complexes]:
    """Return the circular rows of every group of `plan`; shape (..., rows, P)."""
    spectra = plan.spectra(signal, spectrum, workers)
    kind = complex_dtype(signal.dtype)
    found: list[Complexes] = [
        np.empty((*signal.shape[:-1], len(group.index), group.length // group.step), kind)
        for group in plan.groups
    ]

    def compute(group: RowGroup, rows: slice, out: Complexes) -> None:
        out[..., rows, :] = group.samples(spectra[group.length], rows)

    run(
        (
            partial(compute, group, rows, out)
            for group, out in zip(plan.groups, found, strict=True)
            for rows in group.chunks()
        ),
        workers,
    )
    return found
