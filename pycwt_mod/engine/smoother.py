"""Rows whose squares are smoothed at one sampling step, and the ends of their record.

A sum over the samples 0 … n - 1 of a band-limited function F is D times the sum of its samples
every D, if these are weighted with the record's outline smoothed to less than 2π/D - B, where
B is the bandwidth of F: w(t) = Σ_k h(t - k), with h a low-pass filter that passes B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.special import i0e

from pycwt_mod.arrays import Complexes, Floats
from pycwt_mod.engine.filter_bank import FilterBank, TransformSpec
from pycwt_mod.engine.upsampling import Upsampler

#: Oversampling of the smoothed spectra, which the weights of the ends and the upsampling need.
OVERSAMPLING = 1.6
#: Points of the FFTs in one chunk of rows.
_CHUNK_POINTS = 2**16


@dataclass(frozen=True, eq=False)
class Smoother:
    """The filters and the smoothing of rows that share a step.

    Attributes
    ----------
    index : ndarray of int
        Their places among the scales of the analysis.
    bank : FilterBank
        Filters of the rows, divided by √s.
    weights : ndarray
        Of the samples from `before` before the record on.
    gauss : ndarray, shape (rows, K + 1)
        D exp(-s²ω²/2) for the bins 0 … K of the smoothing's FFT.
    passed : tuple of int
        Per row, the number of those bins in which the Gaussian exceeds the tolerance.
    kernel : Upsampler or None
        From every D-th sample to all; None if D is 1.
    """

    index: NDArray[np.intp]
    bank: FilterBank
    weights: Floats
    before: int
    gauss: Floats
    passed: tuple[int, ...]
    kernel: Upsampler | None

    @classmethod
    def build(
        cls,
        spec: TransformSpec,
        index: NDArray[np.intp],
        length: int,
        fft_length: int,
        step: int,
    ) -> Smoother:
        """Tabulate everything for the rows `index`; `length` is that of the smoothing."""
        scales, dtype, rtol = spec.scales[index], spec.dtype, spec.rtol
        bank = FilterBank.for_band(spec, scales, fft_length, step)
        weights, before = end_weights(spec.n, step, OVERSAMPLING, rtol)
        kernel = None
        if step > 1:
            kernel = Upsampler.build(step, OVERSAMPLING, rtol, dtype=dtype)
        passed = tuple(_passed(float(s), length, step, rtol) for s in scales)
        omega = np.arange(max(passed)) * (2 * math.pi / length)
        gauss = (step * np.exp(-0.5 * (scales[:, None] * omega) ** 2)).astype(dtype)
        bank = bank.per_root_scale(scales)
        return cls(index, bank, weights.astype(dtype), before, gauss, passed, kernel)

    def chunks(self, length: int) -> list[slice]:
        """Return the rows in portions that stay in the cache."""
        full_rate = length // self.bank.step if self.kernel is None else length
        size = max(2, _CHUNK_POINTS // full_rate)
        count = len(self.index)
        return [slice(k, min(k + size, count)) for k in range(0, count, size)]

    def within_record(self, products: NDArray[Any], period: int) -> NDArray[Any]:
        """Return the samples with their weights on a circle of `period`."""
        count = len(self.weights)
        circular = products.shape[-1]
        places = np.arange(-self.before, count - self.before)
        inside: NDArray[Any]
        if self.before == 0 and count <= circular:
            inside = products[..., :count]
        else:
            inside = np.take(products, places, axis=-1, mode="wrap")
        out = np.zeros((*products.shape[:-1], period), products.dtype)
        if self.before == 0 and count <= period:
            np.multiply(inside, self.weights, out=out[..., :count])
            return out
        weighted = inside * self.weights
        start = 0
        while start < count:
            at = (start - self.before) % period
            stop = min(count, start + period - at)
            out[..., at : at + stop - start] += weighted[..., start:stop]
            start = stop
        return out

    def write_phase(self, cross: Complexes, index: NDArray[np.intp], phase: Floats) -> None:
        """Write the argument of the circular rows `cross` at every sample."""
        some = slice(int(index[0]), int(index[-1]) + 1)
        n = phase.shape[-1]
        if self.kernel is None:
            np.arctan2(cross.imag[..., :n], cross.real[..., :n], out=phase[some])
            return
        spectrum = scipy.fft.fft(cross, axis=-1)
        spectrum *= kernel_correction(self.kernel, cross.shape[-1])
        dense = scipy.fft.ifft(spectrum, axis=-1, overwrite_x=True)
        planes = np.stack([dense.real, dense.imag])
        full = np.empty((2, len(index), n), phase.dtype)
        self.kernel.write(planes, full)
        np.arctan2(full[1], full[0], out=phase[some])


def kernel_correction(kernel: Upsampler, period: int) -> Floats:
    """Return what spectra of samples, in FFT order, are multiplied by before `kernel`."""
    omega = 2 * np.pi * scipy.fft.fftfreq(period) / kernel.step
    return kernel.correction(omega).astype(kernel.matrix.dtype)


def _passed(scale: float, length: int, step: int, tol: float) -> int:
    """Return the number of bins from 0 on in which exp(-s²ω²/2) exceeds `tol`."""
    radius = math.sqrt(-2 * math.log(tol)) / scale
    return min(math.ceil(radius * length / (2 * math.pi)) + 1, length // step // 2) + 1


def end_weights(n: int, step: int, oversampling: float, tol: float) -> tuple[Floats, int]:
    """Return weights for the samples every `step` from some before 0 to some after n.

    Parameters
    ----------
    n, step : int
        Length of the record, and D.
    oversampling : float
        2π/D over twice the bandwidth B.
    tol : float
        What the filter lets through beyond.

    Returns
    -------
    weights : ndarray
        0 far outside of the record, 1 far inside.
    before : int
        How many of them are before sample 0.

    References
    ----------
    Kaiser (1974), Proc. IEEE Int. Symp. Circuits and Systems, 20-23: length and shape of h.
    """
    if step == 1:
        return np.ones(n), 0
    decibels = -20 * math.log10(tol)
    width = 2 * math.pi / step * (1 - 1 / oversampling)
    half = math.ceil((decibels - 8) / (2.285 * width) / 2) + 1
    shape = 0.1102 * (decibels - 8.7)
    t = np.arange(-half, half + 1)
    z = shape * np.sqrt(1 - (t / (half + 1)) ** 2)
    filter_ = np.sinc(t / step) * i0e(z) * np.exp(z - shape)
    passed = np.concatenate([[0.0], np.cumsum(filter_ / filter_.sum())])
    before = half // step
    places = np.arange(-before, (n - 1 + half) // step + 1) * step
    upto = np.clip(np.stack([n - 1 - places, -1 - places]) + half + 1, 0, len(passed) - 1)
    return np.asarray(passed[upto[0]] - passed[upto[1]]), before
