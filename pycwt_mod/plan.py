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
    check_convention,
    check_count,
    check_memory,
    complex_dtype,
    fill_missing,
)
from pycwt_mod.bands import resolve_rtol
from pycwt_mod.multirate import MultirateResult, Octave, octave_samples
from pycwt_mod.results import CwtResult
from pycwt_mod.row_plan import RowPlan
from pycwt_mod.scale_axis import ScaleAxis, cone_of_influence, gap_mask
from pycwt_mod.wavelets import Wavelet, as_wavelet


def padded_length(n: int, convention: Convention) -> int:
    """Return the FFT length: TC98's, at least 1.4 n, or pycwt's next power of two."""
    if convention == "pycwt":
        return int(2 ** math.ceil(math.log2(n)))
    return int(2 ** (int(math.log2(n) + 0.4999) + 1))


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
    scales, freqs : ndarray, shape (scales,)
    """

    n: int
    dt: float
    wavelet: Wavelet
    convention: Convention
    dtype: np.dtype[Any]
    rtol: float
    length: int
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
        # Two points per row and time are beyond what any octave but the first two takes.
        check_memory("the octaves", 8 * values.size * values.itemsize, max_bytes)
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


def plan(
    n: int,
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    wavelet: Wavelet | str = "morlet",
    freqs: ArrayLike | None = None,
    *,
    convention: Convention = "standard",
    pad_to: int | None = None,
    dtype: np.dtype[Any] | type[np.floating[Any]] = np.float64,
    rtol: float | None = None,
) -> CwtPlan:
    """Plan the analysis of records of `n` samples.

    Parameters
    ----------
    n : int
        Samples of a record, at least 2.
    dt, dj, s0, J, wavelet, freqs, convention, pad_to, rtol
        As in `cwt`.
    dtype : {numpy.float64, numpy.float32}
        Precision of the computation.

    Returns
    -------
    CwtPlan

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> analysis = plan(256, 0.5, dtype=np.float32)
    >>> analysis.cwt(np.sin(np.arange(256.0))).coefs.dtype
    dtype('complex64')
    """
    check_count("n", n, least=2)
    check_convention(convention)
    mother = as_wavelet(wavelet)
    grid = ScaleAxis.make(n, dt, dj, s0, J, mother, freqs)
    if pad_to is not None and pad_to < n:
        raise ValueError(f"{pad_to=} must be at least the number of samples, {n}")
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise ValueError(f"dtype={kind} must be float32 or float64")
    return CwtPlan(
        n=n, dt=dt, wavelet=mother, convention=convention, dtype=kind,
        rtol=resolve_rtol(rtol, kind), length=pad_to or padded_length(n, convention), axis=grid,
    )  # fmt: skip
