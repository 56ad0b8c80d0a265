"""Rows from samples of the past: exact weights, and the weights and errors of their forecast.

With κ(j) the weights of a row at the model's rate, W(T - d) = Σ_m κ(m + q) z_m, where z_0 is the
newest sample and d = q steps. The samples m >= 1 are not known yet. With the model
z_t = Σ a_i z_{t-i} + e_t and G(j) = Σ_{k>=j} κ(k) h_{k-j}, where h is its impulse response,

    Ŵ = Σ_{m<=0} (κ(m + q) + c_{-m}) z_m,  c_m = Σ_{i>=1} G(q + i) a_{i+m},
    W - Ŵ = Σ_{i>=1} G(q + i) e_i,

so one filtering of κ backwards in time gives the weights and errors of every delay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.linalg.lapack import ztbtrs

from pycwt_mod.arrays import Complexes, read_only
from pycwt_mod.engine.layout import VoiceGrid, tail_radius
from pycwt_mod.streaming.provisional.autoregression import Autoregression
from pycwt_mod.streaming.provisional.reduction import STAGES, response

__all__ = ["Forecast", "RowKernels", "kernels_of", "row_kernels"]

#: Samples per period of an octave's highest frequency, at least, at the rate of its model. The
#: filter of the reduction hides the newest ones: with 8, the errors of the recording's rows are up
#: to a tenth larger. With more, the model would need a higher order for the same time.
SAMPLES_PER_PERIOD = 16
#: Where the wavelet is cut, as a part of its maximum and of its area.
KERNEL_TOL = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class RowKernels:
    """The weights of the rows of one octave.

    Attributes
    ----------
    step : int
        D: samples of the signal per sample of the model.
    reach : int
        L, in samples of the model.
    kappa : ndarray, shape (rows, 2L + 1)
        κ(j) for j from -L to L.
    theta : ndarray, shape (m,)
        Frequencies in radians per sample of the model.
    gain : ndarray, shape (rows, m)
        |Σ κ(j) exp(iθj)|² / m, so that Σ gain S is the mean power of a row.
    """

    step: int
    reach: int
    kappa: Complexes
    theta: NDArray[np.float64]
    gain: NDArray[np.float64]

    def forecast(self, model: Autoregression) -> Forecast:
        """Return the errors of the rows at all delays, and their weights, under `model`."""
        # G(j) - Σ a_i G(j + i) = κ(j) is a triangular system with a band. Solving it takes less
        # time than `scipy.signal.lfilter`, and much less than importing scipy.signal.
        coefs = np.concatenate([[1.0], -model.coefs]).astype(np.complex128)
        band = np.repeat(coefs[:, None], self.kappa.shape[1], axis=1)
        solved, _ = ztbtrs(band, self.kappa[:, ::-1].T, uplo="L", diag="U")
        response_ = np.ascontiguousarray(solved.T[:, ::-1])
        power = self.gain @ model.spectrum(self.theta)
        return Forecast(kernels=self, model=model, response=response_, rms=np.sqrt(power))

    def shifted(self, delays: NDArray[np.intp], first: int, count: int) -> Complexes:
        """Return κ(m + q) for `count` values of m from `first` on, q being each row's delay."""
        return shifted(self.kappa, delays + first + self.reach, count)


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """The forecast of rows under a model.

    Attributes
    ----------
    kernels : RowKernels
    model : Autoregression
    response : ndarray, shape (rows, 2L + 1)
        G(j) for j from -L to L.
    rms : ndarray, shape (rows,)
        √(mean |W|²) under the model.
    """

    kernels: RowKernels
    model: Autoregression
    response: Complexes
    rms: NDArray[np.float64]

    @property
    def variances(self) -> tuple[NDArray[np.float64], Complexes]:
        """V = σ² Σ |G|² and C = σ² Σ G² at the delays 0 … L; each of shape (rows, L + 1)."""
        late = self.response[:, : self.kernels.reach : -1]  # G(L) … G(1)
        zero = np.zeros((len(late), 1))
        size = np.cumsum(np.hstack([zero, late.real**2 + late.imag**2]), axis=1)
        square: Complexes = np.cumsum(np.hstack([zero + 0j, late**2]), axis=1)
        return self.model.variance * size[:, ::-1], self.model.variance * square[:, ::-1]

    def smallest_delays(self, max_error: float) -> NDArray[np.intp]:
        """Return for each row the first delay at which √V is below `max_error` times the RMS."""
        enough = self.variances[0] <= (max_error * self.rms[:, None]) ** 2
        return np.asarray(np.argmax(enough, axis=1))

    def weights(self, delays: NDArray[np.intp]) -> Complexes:
        """Return the weights of z_{-P+1} … z_0, shape (rows, P), with P = `span`(delays)."""
        kernels, model = self.kernels, self.model
        past = span(kernels, delays, model.order)
        weights = kernels.shifted(delays, 1 - past, past)
        if model.order:
            late = shifted(self.response, delays + 1 + kernels.reach, model.order)  # G(q + i)
            lags = np.add.outer(np.arange(model.order), np.arange(model.order))  # i - 1 + m
            padded = np.concatenate([model.coefs, np.zeros(model.order)])
            weights[:, past - model.order :] += (late @ padded[lags])[:, ::-1]
        return weights


def span(kernels: RowKernels, delays: NDArray[np.intp], order: int) -> int:
    """Return the number of past samples that rows at these delays depend on."""
    return max(order, kernels.reach + int(delays.max(initial=0)) + 1)


def shifted(table: Complexes, first: NDArray[np.intp], count: int) -> Complexes:
    """Return `count` columns of each row of `table` from its `first` on; outside they are 0."""
    columns = first[:, None] + np.arange(count)
    inside = (columns >= 0) & (columns < table.shape[1])
    taken = np.take_along_axis(table, np.clip(columns, 0, table.shape[1] - 1), axis=1)
    return np.where(inside, taken, 0)


def row_kernels(grid: VoiceGrid, octave: int, remainder: int = 0) -> RowKernels:
    """Return the kernels of an octave, at the lowest rate that its model may have.

    Parameters
    ----------
    grid : VoiceGrid
    octave : int
    remainder : int
        Samples of the signal by which the rows lag behind the samples of the model.
    """
    voices = grid.octave_slice(octave)
    return kernels_of(grid, voices.start, voices.stop, model_step(grid, octave), remainder)


@lru_cache(maxsize=256)
def kernels_of(grid: VoiceGrid, start: int, stop: int, step: int, remainder: int) -> RowKernels:
    """Return the kernels of the rows from `start` to `stop`, at one sample of `step`."""
    scales = grid.scales_s[start:stop] * grid.fs_hz
    radius = tail_radius(grid.wavelet, KERNEL_TOL) * float(scales.max())
    reach = math.ceil((radius + remainder) / step) + STAGES
    length = scipy.fft.next_fast_len(4 * reach)
    bins = np.arange(1, (length + 1) // 2)
    theta = 2 * np.pi * bins / length
    spectrum = np.conj(grid.wavelet.psi_ft(scales[:, None] * theta / step)).astype(np.complex128)
    spectrum *= np.sqrt(2 * np.pi * scales)[:, None]
    spectrum /= response(theta, step)
    spectrum *= np.exp(-1j * theta * remainder / step)
    full = np.zeros((len(scales), length), np.complex128)
    full[:, bins] = spectrum
    kappa = scipy.fft.fft(full, axis=1) / length
    gain = (spectrum.real**2 + spectrum.imag**2) / length
    kappa = np.concatenate([kappa[:, -reach:], kappa[:, : reach + 1]], axis=1)
    return RowKernels(
        step=step, reach=reach, kappa=read_only(kappa), theta=read_only(theta),
        gain=read_only(gain),
    )  # fmt: skip


def model_step(grid: VoiceGrid, octave: int) -> int:
    """Return D: the largest power of two with `SAMPLES_PER_PERIOD` at the highest frequency."""
    top = float(grid.freqs_hz[grid.octave_slice(octave)][0])
    ratio = grid.fs_hz / (SAMPLES_PER_PERIOD * top)
    return 2 ** math.floor(math.log2(ratio)) if ratio >= 1 else 1
