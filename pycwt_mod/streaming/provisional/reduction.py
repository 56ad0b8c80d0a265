"""A causal reduction of the sampling rate, by cascaded moving averages (CIC filter).

z_m = Σ_j h_j x_{T+mD-j}, with h the `STAGES`-fold convolution of a moving average over D samples.
The filter ends at the newest sample, so no sample is waited for. Its zeros lie at the multiples of
the new rate, where they remove what would be aliased to frequencies far below it; between them it
attenuates little, so the reduced signal is not band-limited and has a well-conditioned
autoregressive model. Rows are computed from z with 1/H applied to their wavelets.

References
----------
Hogenauer (1981), IEEE Trans. ASSP 29, 155, doi:10.1109/TASSP.1981.1163535.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats, read_only

__all__ = ["STAGES", "kernel_length", "reduced", "response"]

#: Moving averages in the cascade. At 8 samples per period, aliases are at most 4e-4 of the
#: amplitude of their source.
STAGES = 4


def kernel_length(step: int) -> int:
    """Return the number of samples that one reduced sample depends on."""
    return STAGES * (step - 1) + 1


def reduced(samples: Floats, step: int) -> NDArray[np.float64]:
    """Return every complete z_m, the last of which ends at the last sample.

    Parameters
    ----------
    samples : ndarray, shape (n, ...)
        A NaN makes every z_m that depends on it NaN.
    step : int
        D; 1 returns the samples themselves.

    Returns
    -------
    ndarray, shape (k, ...)
        With k = (n - `kernel_length`) // D + 1, or 0 if there are not enough samples.
    """
    if step == 1:
        return np.asarray(samples, dtype=np.float64)
    count = max(0, (len(samples) - kernel_length(step)) // step + 1)
    shape = samples.shape[1:]
    if not count:
        return np.empty((0, *shape))
    # The kernel, padded to STAGES * D, in segments of D: z is the sum of one product for each.
    needed = (count + STAGES - 1) * step
    padded = np.zeros((needed, *shape))
    used = min(needed, len(samples))
    padded[needed - used :] = samples[len(samples) - used :]
    segments = padded.reshape(count + STAGES - 1, step, -1)
    products = np.einsum("ks,mst->mkt", _segments(step), segments, optimize=True)
    total = sum(products[k : k + count, k] for k in range(STAGES))
    return np.asarray(total).reshape(count, *shape)


@lru_cache(maxsize=64)
def _segments(step: int) -> NDArray[np.float64]:
    """Return the time-reversed kernel in rows of D; the padding comes first."""
    average = np.full(step, 1 / step)
    kernel = average
    for _ in range(STAGES - 1):
        kernel = np.convolve(kernel, average)
    padded = np.concatenate([np.zeros(STAGES * step - len(kernel)), kernel[::-1]])
    return read_only(padded.reshape(STAGES, step))


def response(theta: Floats, step: int) -> Complexes:
    """Return H at `theta` in radians per reduced sample, between -π and π."""
    if step == 1:
        return np.ones(np.shape(theta), np.complex128)
    omega = np.asarray(theta) / step
    half = np.where(omega == 0, 1.0, omega) / 2
    gain = np.where(omega == 0, 1.0, np.sin(step * half) / (step * np.sin(half)))
    delay = np.exp(-1j * omega * (step - 1) / 2)
    return np.asarray((gain * delay) ** STAGES, dtype=np.complex128)
