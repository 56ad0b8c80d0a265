"""Sums of products of rows around an instant: cross spectra, smoothed or not.

The smoothing in time has the Gaussian exp(-u²/2s²) as its weights. The product of two rows of scale
s varies so slowly that samples of it every 3/4 s give the sum to about 1e-5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats
from pycwt_mod.engine.layout import COHERENCES, BlockOp, OctaveLayout, VoiceGrid, grid_boxcar
from pycwt_mod.streaming.provisional.kernels import RowKernels, kernels_of, model_step, shifted

__all__ = ["RowProducts", "row_products"]

#: Distance of the samples of a product, and half the length of the Gaussian, in scales.
SPACING, GAUSS_RADIUS = 0.75, 3.5


@dataclass(frozen=True, kw_only=True, eq=False)
class RowProducts:
    """How the products of an octave are computed from rows of two channels.

    Attributes
    ----------
    kernels : RowKernels
        Of the rows of the octave, and for coherence of their neighbours.
    offsets : ndarray of int, shape (rows, K)
        Distances from the instant at which each row is needed, in samples of the model.
    weights : ndarray, shape (rows, K)
    boxcar : ndarray, shape (k, rows)
        From rows to the voices of the octave.
    coherence : bool
        Whether R² is the result; otherwise it is the cross spectrum.
    """

    kernels: RowKernels
    offsets: NDArray[np.intp]
    weights: NDArray[np.float64]
    boxcar: Floats
    coherence: bool

    @property
    def reach(self) -> int:
        """Samples of the model on either side of the instant on which a product depends."""
        return self.kernels.reach + int(self.offsets.max())

    def row_weights(self, delay: int, past: int, future: int) -> Complexes:
        """Return the weights of samples for all rows and offsets; shape (rows * K, past + future).

        Parameters
        ----------
        delay : int
            From the instant to the newest sample, in samples of the model.
        past, future : int
            Number of samples up to the newest one, and after it.
        """
        first = delay - self.offsets + 1 - past + self.kernels.reach
        kappa = np.repeat(self.kernels.kappa, self.offsets.shape[1], axis=0)
        return shifted(kappa, first.reshape(-1), past + future)

    def sums(self, one: Complexes, other: Complexes) -> Complexes:
        """Return S(W1 W2*) of rows of shape (..., rows * K); shape (..., k)."""
        shape = (*one.shape[:-1], *self.weights.shape)
        products = (one * np.conj(other)).reshape(shape)
        summed = np.einsum("...rk,rk->...r", products, self.weights)
        return np.asarray(summed @ self.boxcar.T)

    def results(self, one: Complexes, other: Complexes) -> tuple[NDArray[np.float64], Complexes]:
        """Return R² (or |W1 W2*|) and S(W1 W2*); each of shape (..., k)."""
        cross = self.sums(one, other)
        if not self.coherence:
            return np.abs(cross), cross
        power = self.sums(one, one).real * self.sums(other, other).real
        squared = cross.real**2 + cross.imag**2
        values = np.divide(squared, power, out=np.zeros_like(power), where=~(power <= 0))
        return np.minimum(values, 1.0), cross


def row_products(
    grid: VoiceGrid, layout: OctaveLayout, op: BlockOp, convention: Convention, remainder: int
) -> RowProducts:
    """Return the products of an octave of "xwt" or "wct".

    Parameters
    ----------
    grid, layout, op, convention
        As for `pycwt_mod.compute_block`.
    remainder : int
        As for `row_kernels`.
    """
    start, stop = layout.rows.start, layout.rows.stop
    step = model_step(grid, layout.octave)
    kernels = kernels_of(grid, start, stop, step, remainder)
    keep = slice(layout.voices.start - start, layout.voices.stop - start)
    boxcar = grid_boxcar(grid, op, convention).matrix(stop - start, keep)
    scales = grid.scales_s[layout.rows] * grid.fs_hz / step
    if op not in COHERENCES:
        alone = np.zeros((len(scales), 1))
        return RowProducts(
            kernels=kernels, offsets=alone.astype(np.intp), weights=alone + 1, boxcar=boxcar,
            coherence=False,
        )  # fmt: skip
    spacing = np.maximum(1, (SPACING * scales).astype(np.intp))
    half = math.ceil(float((GAUSS_RADIUS * scales / spacing).max()))
    offsets = spacing[:, None] * np.arange(-half, half + 1)
    gauss = np.exp(-((offsets / scales[:, None]) ** 2) / 2)
    weights = gauss / gauss.sum(axis=1, keepdims=True) / scales[:, None]
    return RowProducts(
        kernels=kernels, offsets=offsets, weights=weights, boxcar=boxcar, coherence=True
    )
