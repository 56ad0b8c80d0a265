"""Upsampling, from samples every D to every sample, by a short kernel.

A band-limited row is Σ_i c_i φ(t - iD) exp(iω_c (t - iD)), with φ the Kaiser-Bessel window of
K taps, if the spectrum of the samples c_i is that of the row times D/Φ(ω - ω_c). The aliases
that φ lets through fall like exp(-πK √(1 - 1/σ)), where σ is how much denser than the band
needs the samples are. Per output this is K multiplications, whatever the length.

References
----------
Jackson et al. (1991), IEEE Trans. Med. Imaging 10, 473, doi:10.1109/42.97598
Barnett et al. (2019), SIAM J. Sci. Comput. 41, C479, doi:10.1137/18M120885X
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from scipy.special import i0e

from pycwt_mod.arrays import Floats

#: Outputs per row of the matrix product; fewer make narrow matrices, more multiply zeros.
_OUTPUTS = 32
#: M·N·K up to which BLAS stays in the calling thread; `workers` alone decides on threads.
_SMALL_PRODUCT = 2**18


@dataclass(frozen=True, eq=False)
class Upsampler:
    """The kernel of one step and band centre, as a matrix from windows to outputs.

    Attributes
    ----------
    step, taps : int
        D and K.
    centre : float
        ω_c in radians per sample.
    shape : float
        β of the window.
    steps : int
        Steps D that one row of the product spans.
    matrix : ndarray of real, shape (parts (K + steps - 1), parts steps D)
        With `parts` = 2, complex numbers are pairs of reals; with 1 the samples are real.
    """

    step: int
    taps: int
    centre: float
    shape: float
    steps: int
    matrix: Floats
    parts: int

    @classmethod
    def build(
        cls,
        step: int,
        oversampling: float,
        rtol: float,
        *,
        dtype: np.dtype[Any],
        centre: float | None = None,
    ) -> Upsampler:
        """Choose K for `rtol` at this σ; no `centre` means real rows around zero."""
        decay = math.pi * math.sqrt(1 - 1 / oversampling)
        taps = 2 * math.ceil((math.log(10 / rtol) / decay) / 2)
        shape = math.pi * taps * (1 - 1 / (2 * oversampling))
        steps = max(1, _OUTPUTS // step)
        window = np.arange(taps + steps - 1) - (taps // 2 - 1)
        t = np.arange(steps * step) - window[:, None] * step
        inside = np.clip(1 - (2 * t / (taps * step)) ** 2, 0, None)
        z = shape * np.sqrt(inside)
        kernel = np.where(np.abs(t) * 2 <= taps * step, i0e(z) * np.exp(z - shape), 0)
        if centre is None:
            return cls(step, taps, 0.0, shape, steps, kernel.astype(dtype), 1)
        turning = kernel * np.exp(1j * centre * t)
        matrix = np.empty((len(window), 2, steps * step, 2))
        matrix[:, 0, :, 0] = matrix[:, 1, :, 1] = turning.real
        matrix[:, 0, :, 1] = turning.imag
        matrix[:, 1, :, 0] = -turning.imag
        flat = matrix.reshape(2 * len(window), -1).astype(dtype)
        return cls(step, taps, centre, shape, steps, flat, 2)

    def correction(self, omega: Floats) -> Floats:
        """Return D/Φ(ω - ω_c), by which spectra are multiplied beforehand."""
        half = self.taps * self.step / 2
        z = np.sqrt(np.clip(self.shape**2 - ((omega - self.centre) * half) ** 2, 1e-6, None))
        window = half * (np.exp(z - self.shape) - np.exp(-z - self.shape)) / z
        return np.asarray(self.step / window)

    def write(self, samples: NDArray[Any], out: NDArray[Any]) -> None:
        """Fill rows of n, `out`, from circular `samples` every D of corrected rows.

        Both have the same leading axes.
        """
        n = out.shape[-1]
        per_row = self.steps * self.step
        n_windows = -(-n // per_row)
        around = self._around(samples, n_windows * self.steps + self.taps - 1)
        width = self.matrix.shape[0]
        lead = around.shape[:-1]
        windows = as_strided(
            around,
            (*lead, n_windows, width),
            (*around.strides[:-1], self.parts * self.steps * around.itemsize, around.itemsize),
            writeable=False,
        )
        chunk = max(1, _SMALL_PRODUCT // self.matrix.size)
        whole = n // per_row // chunk * chunk
        if whole:
            target = out[..., : whole * per_row].view(self.matrix.dtype)
            np.matmul(
                np.ascontiguousarray(windows[..., :whole, :]).reshape(*lead, -1, chunk, width),
                self.matrix,
                out=target.reshape(*lead, -1, chunk, self.matrix.shape[1]),
            )
        rest = np.ascontiguousarray(windows[..., whole:, :]) @ self.matrix
        outputs = rest.view(out.dtype).reshape(*lead, -1)
        out[..., whole * per_row :] = outputs[..., : n - whole * per_row]

    def _around(self, samples: NDArray[Any], count: int) -> Floats:
        """Return `count` samples from before the first output on, as reals."""
        lead = self.taps // 2 - 1
        period = samples.shape[-1]
        if lead <= period and count - lead <= period:
            parts = [samples[..., period - lead :], samples[..., : count - lead]]
            around = np.concatenate(parts, axis=-1)
        else:
            around = np.take(samples, np.arange(-lead, count - lead), axis=-1, mode="wrap")
        return np.asarray(around.view(self.matrix.dtype))
