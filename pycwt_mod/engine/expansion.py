"""From the samples of an octave every D to all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.fft

from pycwt_mod.arrays import Complexes
from pycwt_mod.engine.bands import Band, used_bins
from pycwt_mod.engine.filter_bank import RowGroup, fold
from pycwt_mod.engine.overlap_save import Segments
from pycwt_mod.engine.row_plan import RowPlan
from pycwt_mod.engine.schedule import interpolation_step, octave_of
from pycwt_mod.engine.sources import Parts, one_of
from pycwt_mod.engine.upsampling import Interpolation


@dataclass(frozen=True, eq=False)
class CircularRows:
    """Samples of the rows of a group on a whole circle: they say all there is to know of them.

    Attributes
    ----------
    samples : ndarray, shape (..., rows, length/D)
    """

    plan: RowPlan
    group: RowGroup | Segments
    samples: Complexes

    def tasks(self, out: Complexes, k: int) -> Iterable[Callable[[], object]]:
        """Yield what fills `out`, the matrix of signal `k`."""
        circular = self.samples.reshape(-1, *self.samples.shape[-2:])[k]
        plan = self.plan
        band = Band.of(plan.asked.wavelet, plan.asked.rtol, plan.asked.convention)
        similar: dict[tuple[int, int], list[int]] = {}
        for j, s in enumerate(plan.asked.scales[self.group.index].tolist()):
            key = interpolation_step(band, s, self.group.length), octave_of(s)
            similar.setdefault(key, []).append(j)
        for (step, _), some in similar.items():
            yield partial(self._unfold, band, circular, some, step, out)

    def _unfold(
        self, band: Band, circular: Complexes, some: list[int], step: int, out: Complexes
    ) -> None:
        """Write some rows with similar bands: spread out each band, and sample it densely."""
        length, n = self.group.length, out.shape[-1]
        wavelet, convention = self.plan.asked.wavelet, self.plan.asked.convention
        scales = self.plan.asked.scales[self.group.index[some]]
        ends = [used_bins(wavelet, band, s, s, convention, length) for s in scales]
        first, last = min(low for low, _ in ends), max(high for _, high in ends)
        bins = np.arange(first, last + 1)
        gain = np.full(len(bins), float(self.group.step))
        kernel = None
        kind = circular.real.dtype
        if step:
            omega = bins * (2 * np.pi / length)
            kernel = Interpolation.build(
                step, length / (step * len(bins)), self.plan.asked.rtol, dtype=kind,
                centre=(omega[0] + omega[-1]) / 2,
            )  # fmt: skip
            gain *= kernel.correction(omega) / step
        for j, (low, high) in zip(some, ends, strict=True):
            weights = np.where((bins >= low) & (bins <= high), gain, 0).astype(kind)
            spectrum = scipy.fft.fft(circular[j])[bins % circular.shape[-1]]
            dense = scipy.fft.ifft(fold(spectrum, weights, first, length // (step or 1)))
            target = out[self.group.index[j]]
            if kernel is None:
                target[...] = dense[:n]
            else:
                kernel.write(dense, target)


@dataclass(frozen=True, eq=False)
class RingingRows:
    """Rows that the Nyquist frequency cuts: every D-th sample within the record isn't enough.

    They ring, so their samples between two of the record's depend on those outside of it, on the
    whole circle. The parts of the signal that they are made of say the same in less room.
    """

    plan: RowPlan
    group: Segments
    parts: Parts

    def tasks(self, out: Complexes, k: int) -> Iterable[Callable[[], object]]:
        """Yield what fills `out`, the matrix of signal `k`."""
        group, asked = self.group, self.plan.asked
        dense = Segments.build(
            asked.wavelet, asked.scales[group.index], group.index, group.length, 1,
            convention=asked.convention, dtype=asked.dtype, rtol=asked.rtol,
        )  # fmt: skip
        parts = one_of(self.parts, k)
        for start in dense.starts(out.shape[-1]):
            yield partial(dense.write, parts, start, out, group.index)
