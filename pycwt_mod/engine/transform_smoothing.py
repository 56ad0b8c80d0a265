"""Smoothed spectra of transforms that exist, given at every sample.

The operator is that of `pycwt_mod.engine.coherence`, which computes its own rows, at the rate that
each octave needs. Here the rows are the caller's, who may have changed them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats
from pycwt_mod.conditioning import pairs_of
from pycwt_mod.engine.schedule import run_tasks
from pycwt_mod.smoothing import ScaleWindow, convolve_in_time, gaussian_filter, powers

#: Points of the FFTs of one portion of rows.
_PORTION_POINTS = 2**20


@dataclass(frozen=True, eq=False)
class TransformSmoother:
    """The smoothing of coherence over rows at full rate.

    Attributes
    ----------
    scales : ndarray, shape (scales,)
        Ascending, in samples.
    window : ScaleWindow
    length : int
        FFT length, on which the smoothing in time is circular.
    """

    scales: Floats
    window: ScaleWindow
    length: int

    def spectra(self, waves: Complexes, workers: int = 1) -> tuple[Floats, Complexes]:
        """Return the smoothed power and cross spectra of k transforms.

        Parameters
        ----------
        waves : ndarray, shape (k, scales, n), complex128
            Rows in the order of `scales`.
        workers : int
            Threads.

        Returns
        -------
        power : ndarray, shape (k, scales, n)
        cross : ndarray, shape (k (k - 1) / 2, scales, n), complex
            In the order of `pairs_of`.
        """
        pairs = pairs_of(len(waves))
        power = np.empty(waves.shape, np.float64)
        cross = np.empty((len(pairs), *waves.shape[1:]), np.complex128)
        size = max(1, _PORTION_POINTS // self.length)
        starts = range(0, len(self.scales), size)
        run_tasks(
            (
                partial(self._smooth_in_time, waves, slice(start, start + size), power, cross)
                for start in starts
            ),
            workers,
        )
        return self._over_scales(power), self._over_scales(cross)

    def _smooth_in_time(
        self, waves: Complexes, rows: slice, power: Floats, cross: Complexes
    ) -> None:
        scales = self.scales[rows]
        gauss = gaussian_filter(scales, self.length)
        some = waves[:, rows] / np.sqrt(scales)[:, None]
        for k, wave in enumerate(some):
            power[k, rows] = convolve_in_time(powers(wave), gauss)
        for k, (i, j) in enumerate(pairs_of(len(some))):
            cross[k, rows] = convolve_in_time(some[i] * np.conj(some[j]), gauss)

    def _over_scales(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return the weighted sums over the scales around each."""
        out = np.zeros_like(planes)
        count = len(self.scales)
        for row in range(count):
            first, weights = self.window.around(row)
            for place, weight in enumerate(weights, first):
                if weight and 0 <= place < count:
                    out[:, row] += weight * planes[:, place]
        return out
