"""An analysis with its tables, built once and used for many signals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays import (
    MASK_THRESHOLD,
    MEMORY_LIMIT_BYTES,
    Bools,
    Complexes,
    Convention,
    Floats,
    GapFill,
    GapPolicy,
    as_signal,
    check_count,
    check_memory,
    check_pair,
    complex_dtype,
    has_weak_octave,
    read_only,
    standardise,
    time_last,
    unit_scaled,
)
from pycwt_mod.engine.coherence import CoherenceSchedule, PhaseOf, check_phase_of
from pycwt_mod.engine.filter_bank import TransformSpec
from pycwt_mod.engine.flat_stretches import (
    FlatStretches,
    Radii,
    flat_stretches,
    least_stretch,
    radii_of,
)
from pycwt_mod.engine.inputs import spectra_by_length
from pycwt_mod.engine.layout import BLOCK_RTOL, support_radius
from pycwt_mod.engine.missing_energy import RowKernels
from pycwt_mod.engine.octaves import MultirateResult, octaves_of
from pycwt_mod.engine.pairs import Pairs
from pycwt_mod.engine.record_pairs import PairSchedule, pair_mask
from pycwt_mod.engine.scale_axis import ScaleAxis, cone_of_influence, gap_mask
from pycwt_mod.engine.schedule import RowStrategy, Schedule, group_scales
from pycwt_mod.engine.transform_smoothing import TransformSmoother
from pycwt_mod.pair_results import PairOctave, WctPairsResult
from pycwt_mod.rednoise import lag1_of
from pycwt_mod.results import CwtResult, Origin, WctResult, XwtResult
from pycwt_mod.significance.chi_square import cross_levels
from pycwt_mod.smoothing import scale_window
from pycwt_mod.wavelets import Wavelet

#: Planes of reals that a coherence keeps: R², phase, two of the smoothed cross spectrum, mask.
_WCT_PLANES = 5
#: Part of `rtol` that the bands are cut at where a signal has an octave of little power.
_WEAK_RTOL = 1e-4


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
        Fraction of a wavelet's maximum below which its spectrum is treated as zero.
    length : int
        FFT length that records are padded to.
    dj : float or None
        Spacing of the scales in octaves; None with frequencies of the caller's own.
    scales, freqs, coi : ndarray
        Read-only; results have copies of them.
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
        return read_only(cone_of_influence(self.n, self.dt, self.wavelet))

    @property
    def _spec(self) -> TransformSpec:
        return TransformSpec(
            wavelet=self.wavelet, scales=self.scales / self.dt, n=self.n, length=self.length,
            convention=self.convention, dtype=self.dtype, rtol=self.rtol,
        )  # fmt: skip

    @cached_property
    def _full_rate(self) -> Schedule:
        return Schedule.build(self._spec, full_rate=True)

    @cached_property
    def _strategies(self) -> dict[RowStrategy, NDArray[np.intp]]:
        return group_scales(self._spec, full_rate=False)

    @cached_property
    def _critical(self) -> Schedule:
        return Schedule.build(self._spec, full_rate=False)

    def cwt(
        self,
        signal: ArrayLike,
        *,
        axis: int | None = None,
        gap_fill: GapFill = None,
        max_gap: float | None = None,
        mask_threshold: float | None = MASK_THRESHOLD,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> CwtResult:
        """Return the transform of one signal or of a batch along `axis`; see `pycwt_mod.cwt`."""
        gaps = GapPolicy(fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold)
        values = self.as_record("signal", signal, axis)
        coefs, spectrum, missing = self._transform(values, gaps, workers, max_bytes)
        half = (self.length + 1) // 2
        return CwtResult(
            coefs,
            self.scales.copy(),
            self.freqs.copy(),
            self.coi.copy(),
            spectrum[..., 1:half] / self._fft_norm,
            scipy.fft.fftfreq(self.length, self.dt)[1:half],
            mask=self._mask(missing, gaps, self._flat(values)),
            dt=self.dt,
            origin=Origin(
                record=values, wavelet=self.wavelet, convention=self.convention, dj=self.dj
            ),
        )

    def _transform(
        self, values: Floats, gaps: GapPolicy, workers: int, max_bytes: int
    ) -> tuple[Complexes, Complexes, Bools]:
        """Return the coefficients of a record, the spectrum of the padded one, and the gaps."""
        workers = check_count("workers", workers)
        item = complex_dtype(self.dtype).itemsize
        check_memory(
            "the transform", values.size * len(self.scales) * item, max_bytes,
            instead="use multirate, which needs a fraction of that, ",
        )  # fmt: skip
        filled, spectrum, missing = self._prepare(values, gaps, workers, max_bytes)
        return self._full_rate.full(filled, spectrum, workers), spectrum, missing

    def _mask(
        self,
        missing: Bools,
        gaps: GapPolicy,
        flat: FlatStretches | None,
        rows: NDArray[np.intp] | slice = slice(None),
        step: int = 1,
    ) -> Bools:
        """Return where coefficients are masked, every `step` samples; shape (..., rows, time)."""
        mask = self._gap_mask(missing, gaps, rows, step)
        if flat is not None:
            mask |= flat.mask(self._radii[rows], mask.shape[-1], step)
        return mask

    def cross_mask(self, y1: Floats, y2: Floats, missing: Bools, gaps: GapPolicy) -> Bools:
        """Return where products of the coefficients of two records are masked.

        A sample is missing if it is missing in either record.
        """
        mask = self._mask(missing, gaps, self._flat(y1))
        flat = self._flat(y2)
        if flat is not None:
            mask |= flat.mask(self._radii, self.n)
        return mask

    def _gap_mask(
        self, missing: Bools, gaps: GapPolicy, rows: NDArray[np.intp] | slice, step: int
    ) -> Bools:
        """Return where coefficients lack too many samples."""
        if not missing.any():
            shape = (*missing.shape[:-1], len(self.scales[rows]), -(-missing.shape[-1] // step))
            return np.zeros(shape, np.bool_)
        if gaps.mask_threshold is None:
            return gap_mask(missing, self.scales[rows], self.dt, self.wavelet, step)
        kernels = self._kernels if isinstance(rows, slice) else self._kernels.some(rows)
        return kernels.mask(missing, gaps.mask_threshold, step)

    def smoothed_mask(self, missing: Bools, gaps: GapPolicy) -> Bools:
        """Return where smoothed spectra lack too many samples; shape (..., scales, time)."""
        if gaps.mask_threshold is None or not missing.any():
            return gap_mask(missing, self.scales, self.dt, self.wavelet)
        return self.in_own_order(self._smoothed_kernels.mask(missing, gaps.mask_threshold))

    def _flat(self, values: Floats) -> FlatStretches | None:
        """Return the flat intervals of the original record."""
        return flat_stretches(values, least_stretch(self._radii))

    def flat_coherence(self, *records: Floats) -> Bools | None:
        """Return where any of the records is flat, shape (..., scales, time); None: nowhere."""
        least = least_stretch(self._smoothed_radii)
        found = [flat for y in records if (flat := flat_stretches(y, least)) is not None]
        if not found:
            return None
        masks = [flat.mask(self._smoothed_radii, self.n) for flat in found]
        return np.asarray(np.logical_or.reduce(masks))

    @cached_property
    def _radii(self) -> Radii:
        """How far the support of coefficients reaches, in samples, per row."""
        radius = support_radius(self.wavelet, "cwt", BLOCK_RTOL)
        return radii_of(radius, self.scales / self.dt)

    @cached_property
    def _smoothed_radii(self) -> Radii:
        """How far the support of smoothed spectra reaches, in samples, per row."""
        radius = support_radius(self.wavelet, "wct", BLOCK_RTOL)
        largest = self.axis.ascending_scales[self._coherence.largest_neighbours]
        return radii_of(radius, largest / self.dt)[self.axis.places]

    @cached_property
    def _kernels(self) -> RowKernels:
        return RowKernels.of_scales(self.wavelet, self.scales / self.dt)

    @cached_property
    def _smoothed_kernels(self) -> RowKernels:
        scales = self.axis.ascending_scales / self.dt
        return RowKernels.of_averages(self.wavelet, scales, self._coherence.scale_weights)

    @property
    def _fft_norm(self) -> float:
        """What a spectrum is divided by: √n, so that the padding doesn't count; pycwt's √length."""
        return math.sqrt(self.length if self.convention == "pycwt" else self.n)

    def multirate(
        self,
        signal: ArrayLike,
        *,
        axis: int | None = None,
        gap_fill: GapFill = None,
        max_gap: float | None = None,
        mask_threshold: float | None = MASK_THRESHOLD,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> MultirateResult:
        """Return the transform octave by octave; see `pycwt_mod.multirate`."""
        workers = check_count("workers", workers)
        gaps = GapPolicy(fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold)
        values = self.as_record("signal", signal, axis)
        held = sum(
            len(index) * strategy.points(self.n) for strategy, index in self._strategies.items()
        )
        item = complex_dtype(self.dtype).itemsize
        check_memory("the octaves", held * item * (values.size // self.n), max_bytes)
        filled, spectrum, missing = self._prepare(values, gaps, workers, max_bytes)
        masked = partial(self._mask, missing, gaps, self._flat(values))
        octaves = octaves_of(self._critical, self.axis, filled, spectrum, masked, workers)
        return MultirateResult(
            octaves=octaves, scales=self.scales.copy(), freqs=self.freqs.copy(),
            coi=self.coi.copy(), n=self.n, dt=self.dt,
        )  # fmt: skip

    def xwt(
        self,
        y1: ArrayLike,
        y2: ArrayLike,
        significance_level: float = 0.95,
        *,
        normalize: bool = True,
        al1: float | None = None,
        al2: float | None = None,
        axis: int | None = None,
        gap_fill: GapFill = None,
        max_gap: float | None = None,
        mask_threshold: float | None = MASK_THRESHOLD,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> XwtResult:
        """Return the cross transform of two signals or batches; see `pycwt_mod.xwt`."""
        gaps = GapPolicy(fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold)
        y1, y2 = check_pair(y1, y2, axis)
        lag1 = lag1_of(1, y1, al1), lag1_of(2, y2, al2)
        levels = cross_levels(
            y1, y2, lag1, self.scales / self.dt, significance_level, self.wavelet,
            convention=self.convention, normalize=normalize,
        )  # fmt: skip
        a, b = self._pair(y1, y2, normalize=normalize)
        cross, _, missing = self._transform(a, gaps, workers, max_bytes)
        second, _, also_missing = self._transform(b, gaps, workers, max_bytes)
        cross *= np.conj(second, out=second)
        mask = self.cross_mask(y1, y2, missing | also_missing, gaps)
        axes = self.coi.copy(), self.freqs.copy()
        return XwtResult(cross, *axes, levels, mask=mask, lag1=lag1, dt=self.dt)

    def wct(
        self,
        y1: ArrayLike,
        y2: ArrayLike,
        *,
        signif: ArrayLike | None = None,
        normalize: bool = True,
        phase_of: PhaseOf = "cross",
        axis: int | None = None,
        gap_fill: GapFill = None,
        max_gap: float | None = None,
        mask_threshold: float | None = MASK_THRESHOLD,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> WctResult:
        """Return the coherence of two signals or batches; see `pycwt_mod.wct`.

        `signif` are the thresholds of the result, by default ``[0]``. They depend on the
        signals only by their AR(1), so one `wct_significance` serves many pairs.
        """
        workers = check_count("workers", workers)
        check_phase_of(phase_of)
        gaps = GapPolicy(fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold)
        a, b = check_pair(y1, y2, axis)
        flat = self.flat_coherence(a, b)
        exponent = None
        if normalize:
            a, b = standardise("y1", a), standardise("y2", b)
        else:
            (a, first), (b, second) = unit_scaled(a), unit_scaled(b)
            exponent = (first + second)[..., None]
        records = np.stack([self._in_precision("y1", a), self._in_precision("y2", b)], axis=-2)
        if self.dtype == np.float32 and has_weak_octave(records):
            exact = self._double
            records = np.stack([a, b], axis=-2).astype(exact.dtype)
        else:
            exact = self
        shape = (*a.shape[:-1], len(self.scales), self.n)
        check_memory("coherence", math.prod(shape) * _WCT_PLANES * exact.dtype.itemsize, max_bytes)
        tables = exact._coherence
        filled, spectrum, missing = exact._prepare(records, gaps, workers, max_bytes)
        spectra = spectra_by_length(filled, spectrum, self.length, tables.lengths, workers)
        planes = tables.all(spectra, shape, phase_of, workers)
        r2, phase, smoothed = (
            self.in_own_order(plane).astype(self.dtype, copy=False) for plane in planes
        )
        if exponent is not None:  # back to the product of the signals' units
            with np.errstate(over="ignore", under="ignore"):
                np.ldexp(smoothed, exponent, out=smoothed)
        mask = exact.smoothed_mask(np.any(missing, axis=-2), gaps)
        if flat is not None:
            mask |= flat
            for plane in (r2, phase, *smoothed):
                plane[flat] = 0
        levels = np.zeros(1) if signif is None else np.asanyarray(signif).copy()
        axes = self.coi.copy(), self.freqs.copy()
        return WctResult(r2, phase, *axes, levels, smoothed=smoothed, mask=mask, dt=self.dt)

    def wct_pairs(
        self,
        signals: Floats,
        pairs: Pairs,
        *,
        phase: bool = True,
        gap_fill: GapFill = None,
        max_gap: float | None = None,
        mask_threshold: float | None = MASK_THRESHOLD,
        workers: int = 1,
        max_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> WctPairsResult:
        """Return the coherence of pairs of channels without thresholds; see `pycwt_mod.wct_pairs`.

        `signals` has shape (channels, n), NaN where a sample is missing.
        """
        workers = check_count("workers", workers)
        gaps = GapPolicy(fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold)
        parts = self._pair_schedule.parts
        cells = len(pairs) * sum(len(part.outputs) * part.n_out for part in parts)
        waves = max(part.bank.table.shape[0] * part.bank.period for part in parts)
        check_memory(
            f"coherence of {len(pairs)} pairs",
            cells * (self.dtype.itemsize * (1 + phase) + 1) + 32 * waves * len(signals),
            max_bytes, instead="give phase=False, ",
        )  # fmt: skip
        exact = self if self.dtype == np.float64 else self._double
        values = self._in_precision("signals", signals)
        flat = flat_stretches(values, least_stretch(self._smoothed_radii))
        lowest, highest = np.fmin.reduce(values, axis=-1), np.fmax.reduce(values, axis=-1)
        constant = ~(lowest < highest)  # or without any sample
        scaled = unit_scaled(np.where(constant[:, None], 0, values))[0]
        scaled = (scaled - np.nanmean(scaled, axis=-1, keepdims=True)).astype(exact.dtype)
        _, spectrum, missing = exact._prepare(scaled, gaps, workers, max_bytes)
        octaves = []
        for part in parts:
            rows = np.arange(part.outputs.start, part.outputs.stop)
            flats = np.zeros((len(values), len(rows), part.n_out), np.bool_)
            if flat is not None:
                flats |= flat.mask(self._ascending_radii[rows], part.n_out, part.step)
            flats[constant] = True
            r2, turned = part.coherence(spectrum, pairs, flats, self.dtype, phase, workers)
            touched = partial(self._ascending_gap_mask, gaps=gaps, rows=rows, step=part.step)
            octaves.append(
                PairOctave(
                    scales=self.axis.ascending_scales[rows],
                    freqs=self.freqs[self.axis.ascending][rows],
                    step=part.step, coherence=r2, phase=turned,
                    mask=pair_mask(pairs, flats, missing, touched),
                )
            )  # fmt: skip
        return WctPairsResult(
            pairs=np.array(pairs, np.intp), octaves=tuple(octaves),
            scales=self.axis.ascending_scales.copy(),
            freqs=self.freqs[self.axis.ascending].copy(), coi=self.coi.copy(),
            channels=len(values), n=self.n, dt=self.dt,
        )  # fmt: skip

    @cached_property
    def _pair_schedule(self) -> PairSchedule:
        spec = replace(self._spec, scales=self.axis.ascending_scales / self.dt)
        return PairSchedule.build(spec, self.dj)

    @cached_property
    def _ascending_radii(self) -> Radii:
        """`_smoothed_radii` in order of scale."""
        return self._smoothed_radii[self.axis.ascending]

    def _ascending_gap_mask(
        self, missing: Bools, *, gaps: GapPolicy, rows: NDArray[np.intp], step: int
    ) -> Bools:
        """Return where coherence of `rows`, in order of scale, lacks too many samples."""
        if gaps.mask_threshold is None:
            scales = self.axis.ascending_scales[rows]
            return gap_mask(missing, scales, self.dt, self.wavelet, step)
        return self._smoothed_kernels.some(rows).mask(missing, gaps.mask_threshold, step)

    @cached_property
    def _double(self) -> CwtPlan:
        """The plan in double precision, for signals that single precision does not resolve."""
        return replace(self, dtype=np.dtype(np.float64), rtol=self.rtol * _WEAK_RTOL)

    @cached_property
    def _coherence(self) -> CoherenceSchedule:
        spec = replace(self._spec, scales=self.axis.ascending_scales / self.dt)
        return CoherenceSchedule.build(spec, self.dj)

    def transforms(
        self, records: Floats, gaps: GapPolicy, workers: int, max_bytes: int
    ) -> dict[int, Complexes]:
        """Return the `rfft` of checked `records`, (..., k, n), in double precision, by FFT length.

        They are those that `smoothed_spectra` takes.
        """
        exact = self._in_double
        values = exact._in_precision("signal", records)
        filled, spectrum, _ = exact._prepare(values, gaps, workers, max_bytes)
        lengths = exact._coherence.lengths
        return spectra_by_length(filled, spectrum, self.length, lengths, workers)

    def smoothed_spectra(
        self, transforms: dict[int, Complexes], workers: int
    ) -> tuple[Floats, Complexes]:
        """Return the smoothed power and cross spectra of k signals, in order of scale.

        Parameters
        ----------
        transforms : dict of ndarray, shape (k, bins)
            Of `transforms`.
        workers : int
            Threads.

        Returns
        -------
        power : ndarray, shape (k, scales, n)
        cross : ndarray, shape (k (k - 1) / 2, scales, n), complex
            In the order of `pairs_of`.
        """
        return self._in_double._coherence.spectra(transforms, workers)

    @property
    def _in_double(self) -> CwtPlan:
        return self._double if self.dtype == np.float32 else self

    @cached_property
    def transform_smoother(self) -> TransformSmoother:
        """The smoothing of coherence, for rows at full rate in the order of ascending scales."""
        scales = self.axis.ascending_scales / self.dt
        window = scale_window(scales, self.wavelet.deltaj0, self.dj, self.convention)
        return TransformSmoother(scales, window, self.length)

    def in_own_order(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return rows of ascending scales, shape (..., scales, n), in the order of the plan."""
        return plane[..., self.axis.places, :]

    def _pair(self, y1: Floats, y2: Floats, *, normalize: bool) -> tuple[Floats, Floats]:
        if normalize:
            y1, y2 = standardise("y1", y1), standardise("y2", y2)
        return self._in_precision("y1", y1), self._in_precision("y2", y2)

    def as_record(self, name: str, signal: ArrayLike, axis: int | None = None) -> Floats:
        """Return `signal` with time last and in the plan's precision.

        Raises
        ------
        ValueError
            If it doesn't hold real numbers, or has another length than the plan.
        """
        return self._in_precision(name, as_signal(name, time_last(name, signal, axis)))

    def _in_precision(self, name: str, values: Floats) -> Floats:
        """Return checked `values` in the plan's precision; raise ValueError for another length."""
        if values.shape[-1] != self.n:
            raise ValueError(f"{name} has {values.shape[-1]} samples, but the plan is for {self.n}")
        return values.astype(self.dtype, copy=False)

    def _prepare(
        self, values: Floats, gaps: GapPolicy, workers: int, max_bytes: int
    ) -> tuple[Floats, Complexes, Bools]:
        """Return the signal without gaps and as the convention has its mean, and its spectrum."""
        bins = (self.length // 2 + 1) * (values.size // self.n)
        check_memory("the spectrum", bins * complex_dtype(self.dtype).itemsize, max_bytes)
        filled, missing = gaps.filled(values, self.dt)
        limit = np.finfo(self.dtype).max / (4 * self.length)  # of sums over the record
        if (largest := np.abs(filled).max()) > limit:
            raise ValueError(
                f"signal has values up to {largest:g}, whose transform is out of the range of "
                f"{self.dtype}: divide it by a constant"
            )
        if self.convention == "standard":
            mean = filled.mean(axis=-1, keepdims=True, dtype=np.float64)
            filled = (filled - mean).astype(self.dtype)
        spectrum: Complexes = scipy.fft.rfft(filled, self.length, axis=-1, workers=workers)
        return filled, spectrum, missing
