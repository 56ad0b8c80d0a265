"""An analysis with its tables, built once and used for many signals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Bools,
    Complexes,
    Convention,
    Floats,
    as_signal,
    check_count,
    check_memory,
    complex_dtype,
    fill_missing,
)
from pycwt_mod.bands import Band
from pycwt_mod.coherence_rows import CoherenceRows
from pycwt_mod.octaves import MultirateResult, Octave, octave_samples
from pycwt_mod.pairs import check_pair, standardise
from pycwt_mod.results import CwtResult, PhaseOf, WctResult, XwtResult, check_phase_of
from pycwt_mod.row_plan import RowPlan, spectra_by_length
from pycwt_mod.scale_axis import ScaleAxis, cone_of_influence, gap_mask
from pycwt_mod.wavelets import Wavelet

#: Planes of reals that a coherence keeps: R², phase, two of the smoothed cross spectrum, mask.
_WCT_PLANES = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class CwtPlan:
    """An analysis of records of one length; made by `plan`.

    Immutable, and safe to use from several threads at once: tables are built when they are
    first needed, and depend on nothing but the plan.

    Attributes
    ----------
    n : int
        Samples of a record.
    dt : float
    wavelet : Wavelet
    convention : {"standard", "pycwt"}
    dtype : numpy.dtype
        float32 or float64, to which signals are converted.
    rtol : float
        Part of a wavelet's maximum below which its spectrum counts as zero.
    length : int
        FFT length that records are padded to.
    dj : float or None
        Spacing of the scales in octaves; None with frequencies of the caller's own.
    scales, freqs : ndarray, shape (scales,)
    """

    n: int
    dt: float
    wavelet: Wavelet
    convention: Convention
    dtype: np.dtype[Any]
    rtol: float
    length: int
    dj: float | None
    axis: ScaleAxis = field(repr=False)

    @property
    def scales(self) -> Floats:
        """Scales in units of `dt`."""
        return self.axis.scales

    @property
    def freqs(self) -> Floats:
        """Fourier frequencies of the scales, in units of 1/`dt`."""
        return self.axis.freqs

    @cached_property
    def coi(self) -> Floats:
        """Longest Fourier period free of edge effects, at every sample."""
        return cone_of_influence(self.n, self.dt, self.wavelet)

    @cached_property
    def _full_rate(self) -> RowPlan:
        return self._rows(full_rate=True)

    @cached_property
    def _critical(self) -> RowPlan:
        return self._rows(full_rate=False)

    def _rows(self, *, full_rate: bool) -> RowPlan:
        return RowPlan.build(
            self.wavelet, self.scales / self.dt, self.n, self.length, full_rate=full_rate,
            convention=self.convention, dtype=self.dtype, rtol=self.rtol,
        )  # fmt: skip

    def cwt(
        self,
        signal: ArrayLike,
        *,
        axis: int = -1,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> CwtResult:
        """Return the transform of one signal or of a batch along `axis`; see `pycwt_mod.cwt`."""
        check_count("workers", workers)
        values = self.as_record("signal", signal, axis)
        self.check_memory(values, max_bytes)
        filled, spectrum, missing = self._prepare(values, workers)
        coefs = self._full_rate.full(filled, spectrum, workers)
        half = self.length // 2
        return CwtResult(
            coefs,
            self.scales,
            self.freqs,
            self.coi,
            spectrum[..., 1:half] / math.sqrt(self.length),
            scipy.fft.fftfreq(self.length, self.dt)[1:half],
            mask=gap_mask(missing, self.scales, self.dt, self.wavelet),
        )

    def multirate(
        self,
        signal: ArrayLike,
        *,
        axis: int = -1,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> MultirateResult:
        """Return the transform octave by octave; see `pycwt_mod.multirate`."""
        check_count("workers", workers)
        values = self.as_record("signal", signal, axis)
        band = Band.of(self.wavelet, self.rtol, self.convention)
        # Steps are powers of two, so up to twice as many points as the band needs.
        densities = [min(1.0, band.octave_width(s) / math.pi) for s in self.scales / self.dt]
        points = math.ceil(sum(densities) * self.length) * (values.size // self.n)
        check_memory("the octaves", points * complex_dtype(self.dtype).itemsize, max_bytes)
        filled, spectrum, missing = self._prepare(values, workers)
        groups = self._critical.groups
        found = octave_samples(self._critical, filled, spectrum, workers)
        octaves = []
        for group, rows in zip(groups, found, strict=True):
            scales = self.scales[group.index]
            mask = gap_mask(missing, scales, self.dt, self.wavelet, group.step)
            octaves.append(
                Octave(
                    scales=scales, freqs=self.freqs[group.index], step=group.step,
                    coefs=rows[..., : -(-self.n // group.step)], mask=mask,
                    _group=group, _circular=rows,
                )
            )  # fmt: skip
        return MultirateResult(
            octaves=tuple(octaves), scales=self.scales, freqs=self.freqs, coi=self.coi, n=self.n,
            _wavelet=self.wavelet, _convention=self.convention, _rtol=self.rtol, _dt=self.dt,
        )  # fmt: skip

    def xwt(
        self,
        y1: ArrayLike,
        y2: ArrayLike,
        *,
        normalize: bool = True,
        axis: int = -1,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> XwtResult:
        """Return the cross transform of two signals or batches; its level is 0, see `xwt`."""
        a, b = self._pair(y1, y2, axis, normalize=normalize)
        first = self.cwt(a, workers=workers, max_bytes=max_bytes)
        second = self.cwt(b, workers=workers, max_bytes=max_bytes)
        cross = first.coefs
        cross *= np.conj(second.coefs, out=second.coefs)
        mask = first.mask | second.mask
        return XwtResult(cross, self.coi, self.freqs, np.zeros(1), mask=mask)

    def wct(
        self,
        y1: ArrayLike,
        y2: ArrayLike,
        *,
        normalize: bool = True,
        phase_of: PhaseOf = "cross",
        axis: int = -1,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> WctResult:
        """Return the coherence of two signals or batches, its level 0; see `pycwt_mod.wct`.

        Levels don't depend on the signals but by their AR(1): see `wct_significance`.
        """
        check_count("workers", workers)
        check_phase_of(phase_of)
        a, b = self._pair(y1, y2, axis, normalize=normalize)
        shape = (*a.shape[:-1], len(self.scales), self.n)
        check_memory("coherence", math.prod(shape) * _WCT_PLANES * self.dtype.itemsize, max_bytes)
        tables = self._coherence
        filled, spectrum, missing = self._prepare(np.stack([a, b], axis=-2), workers)
        spectra = spectra_by_length(filled, spectrum, self.length, tables.lengths, workers)
        r2, phase = np.empty(shape, self.dtype), np.empty(shape, self.dtype)
        smoothed = np.empty((2, *shape), self.dtype)
        for k in np.ndindex(shape[:-2]):
            unsmoothed = phase[k] if phase_of == "cross" else None
            some = {length: found[k] for length, found in spectra.items()}
            tables.compute(some, r2[k], smoothed[(slice(None), *k)], unsmoothed, workers)
        if phase_of == "smoothed":
            np.arctan2(smoothed[1], smoothed[0], out=phase)
        gaps = gap_mask(
            np.any(missing, axis=-2, keepdims=False), self.scales, self.dt, self.wavelet
        )
        nothing = np.zeros(1)
        return WctResult(r2, phase, self.coi, self.freqs, nothing, smoothed=smoothed, mask=gaps)

    @cached_property
    def _coherence(self) -> CoherenceRows:
        if self.dj is None:
            raise ValueError("freqs were given, but coherence smooths over scales s0 2^(j dj)")
        return CoherenceRows.build(
            self.wavelet, self.scales / self.dt, self.n, self.length, dj=self.dj,
            convention=self.convention, dtype=self.dtype, rtol=self.rtol,
        )  # fmt: skip

    def _pair(
        self, y1: ArrayLike, y2: ArrayLike, axis: int, *, normalize: bool
    ) -> tuple[Floats, Floats]:
        first, second = check_pair(y1, y2, axis)
        if normalize:
            first, second = standardise("y1", first), standardise("y2", second)
        return self.as_record("y1", first), self.as_record("y2", second)

    def as_record(self, name: str, signal: ArrayLike, axis: int = -1) -> Floats:
        """Return `signal` with time last and in the plan's precision.

        Raises
        ------
        ValueError
            If it doesn't hold real numbers, or has another length than the plan.
        """
        values = as_signal(name, np.moveaxis(np.asarray(signal), axis, -1))
        if values.shape[-1] != self.n:
            raise ValueError(f"{name} has {values.shape[-1]} samples, but the plan is for {self.n}")
        return values.astype(self.dtype, copy=False)

    def check_memory(self, values: Floats, max_bytes: int) -> None:
        """Raise ValueError with the number of bytes if the full matrix would not fit."""
        itemsize = complex_dtype(self.dtype).itemsize
        check_memory("the transform", values.size * len(self.scales) * itemsize, max_bytes)

    def _prepare(self, values: Floats, workers: int) -> tuple[Floats, Complexes, Bools]:
        """Return the signal without gaps and as the convention has its mean, and its spectrum."""
        filled, missing = fill_missing(values)
        if self.convention == "standard":
            mean = filled.mean(axis=-1, keepdims=True, dtype=np.float64)
            filled = (filled - mean).astype(self.dtype)
        spectrum: Complexes = scipy.fft.rfft(filled, self.length, axis=-1, workers=workers)
        return filled, spectrum, missing
