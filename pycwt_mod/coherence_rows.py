"""Smoothed spectra of two signals, computed at the rate that each octave needs.

|W|² is twice as wide as W, but what is left of it after smoothing has the width of the filter.
So squares and products are formed and filtered at samples every D; the boxcar in scale adds up
the filtered spectra, which are short; and a kernel leads to every sample in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.fft

from pycwt_mod.arrays import Complexes, Floats, complex_dtype
from pycwt_mod.scale_window import ScaleWindow
from pycwt_mod.smoothed_group import SmoothedGroup, kernel_correction
from pycwt_mod.threads import run


@dataclass(frozen=True, eq=False)
class CoherenceRows:
    """The tables of some rows of the coherence of records of n samples.

    Attributes
    ----------
    n, length : int
        Samples, and the FFT length of the smoothing, which is circular.
    outputs : range
        The rows that are finished; `groups` have their neighbours as well.
    """

    n: int
    length: int
    window: ScaleWindow
    groups: tuple[SmoothedGroup, ...]
    outputs: range

    def compute(
        self,
        spectra: dict[int, Complexes],
        coherence: Floats,
        smoothed: Floats,
        phase: Floats | None,
        workers: int = 1,
    ) -> None:
        """Fill (scales, n) of R², (2, scales, n) of the smoothed cross spectrum, and the phase.

        `spectra` holds the `rfft` of both signals, shape (2, bins), by FFT length.
        """
        filtered: list[Complexes] = [np.empty((2, 0), complex_dtype(coherence.dtype))] * len(
            coherence
        )
        portions = [(group, rows) for group in self.groups for rows in group.portions(self.length)]
        run(
            (
                partial(self._filter, group, rows, spectra[group.rows.length], filtered, phase)
                for group, rows in portions
            ),
            workers,
        )
        run(
            (
                partial(self._finish, group, rows, filtered, coherence, smoothed)
                for group, portion in portions
                if (rows := self._finished(group, portion)).stop > rows.start
            ),
            workers,
        )

    def _finished(self, group: SmoothedGroup, rows: slice) -> slice:
        """Return which of the rows of a group are outputs."""
        ends = np.searchsorted(group.rows.index, [self.outputs.start, self.outputs.stop])
        first = max(rows.start, int(ends[0]))
        return slice(first, max(first, min(rows.stop, int(ends[1]))))

    def _filter(
        self,
        group: SmoothedGroup,
        rows: slice,
        spectra: Complexes,
        filtered: list[Complexes],
        phase: Floats | None,
    ) -> None:
        """Store the filtered spectra of |W1|² + i|W2|² and W1 W2*, and the phase of the latter."""
        w1, w2 = group.rows.samples(spectra, rows)
        products = np.empty((2, *w1.shape), w1.dtype)
        products[0].real = w1.real**2 + w1.imag**2
        products[0].imag = w2.real**2 + w2.imag**2
        np.multiply(w1, np.conj(w2, out=w2), out=products[1])
        index = group.rows.index[rows]
        some = self._finished(group, rows)
        if phase is not None and some.stop > some.start:
            cross = products[1, some.start - rows.start : some.stop - rows.start]
            group.write_phase(cross, group.rows.index[some], phase)
        period = self.length // group.rows.step
        found = scipy.fft.fft(group.within_record(products, period), axis=-1, overwrite_x=True)
        for k, (place, gauss) in enumerate(zip(index, group.gauss[rows], strict=True)):
            half = len(gauss) // 2
            low = np.concatenate([found[:, k, period - half :], found[:, k, :half]], axis=-1)
            filtered[place] = low * gauss

    def _finish(
        self,
        group: SmoothedGroup,
        rows: slice,
        filtered: list[Complexes],
        coherence: Floats,
        smoothed: Floats,
    ) -> None:
        """Add up neighbouring scales, go back to time, and divide."""
        index = group.rows.index[rows]
        step = group.rows.step
        period = self.length // step
        low = np.zeros((2, len(index), period), filtered[0].dtype)
        for k, place in enumerate(index):
            self._add_neighbours(int(place), filtered, low[:, k])
        if group.kernel is not None:
            low *= kernel_correction(group.kernel, period) / step
        spectra: Complexes = scipy.fft.ifft(low, axis=-1, overwrite_x=True)
        kind = coherence.dtype
        planes = np.empty((4, len(index), period), kind)
        planes[0], planes[1] = spectra[0].real, spectra[0].imag
        planes[2], planes[3] = spectra[1].real, spectra[1].imag
        full = planes[..., : self.n]
        if group.kernel is not None:
            full = np.empty((4, len(index), self.n), kind)
            group.kernel.write(planes, full)
        some = slice(int(index[0]), int(index[-1]) + 1)
        smoothed[:, some] = full[2:]
        product = np.multiply(full[0], full[1], out=full[0])
        numerator = np.square(full[2], out=full[2])
        numerator += np.square(full[3], out=full[3])
        r2 = coherence[some]
        r2[...] = 0
        np.divide(numerator, product, out=r2, where=product > 0)
        np.minimum(r2, 1, out=r2)

    def _add_neighbours(self, place: int, filtered: list[Complexes], out: Complexes) -> None:
        """Fill `out`, in FFT order, with the sum over the scales around `place`."""
        first, weights = self.window.around(place)
        usual = max(weights)
        period = out.shape[-1]
        for row, weight in enumerate(weights, first):
            if not weight or not 0 <= row < len(filtered):
                continue
            part = filtered[row]
            middle = part.shape[-1] // 2
            half = min(middle, period // 2)
            if weight != usual:
                part = part * out.real.dtype.type(weight / usual)
            out[:, :half] += part[:, middle : middle + half]
            out[:, period - half :] += part[:, middle - half : middle]
        out *= out.real.dtype.type(usual)
