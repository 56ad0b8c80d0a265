"""The smoothing in time and in scale that coherence rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Convention, Floats, spacing_of

#: Scales that one sum is taken over: forty times those of the finest transform in use.
MAX_NEIGHBOURS = 100_000


@dataclass(frozen=True)
class ScaleBoxcar:
    """A weighted sum over neighbouring scales: out[j] = Σ_i weights[i] rows[j + first + i].

    Rows beyond the ends count as zero, so the sums at the ends have less weight; coherence
    divides that out.
    """

    first: int
    weights: tuple[float, ...]

    @classmethod
    def of(cls, deltaj0: float, dj: float, convention: Convention) -> ScaleBoxcar:
        """Return the boxcar of a convention.

        ``"standard"``: [f, 1 … 1, f] with h = δj0/(2 dj), f = h mod 1 and 2 round(h) - 1 ones,
        as Grinsted's MATLAB toolbox and R's biwavelet have it. ``"pycwt"``: width
        round(2 δj0/dj), half weights at the ends, half a row off centre when that is even.

        Raises
        ------
        ValueError
            `dj` is so small that the boxcar would have more than `MAX_NEIGHBOURS` weights.
        """
        least = 2 * deltaj0 / MAX_NEIGHBOURS
        if not dj >= least:
            raise ValueError(f"{dj=} must be >= {least:.3g}: coherence is smoothed over scales")
        if convention == "pycwt":
            width = max(1, round(2 * deltaj0 / dj))
            window = np.ones(width)
            window[0] = window[-1] = 0.5
            # convolve2d's "same" centres at (width - 1) // 2 of the flipped window.
            return cls((width - 1) // 2 - (width - 1), tuple(window / window.sum()))
        half = deltaj0 / (2 * dj)
        reach = math.floor(half + 0.5)
        if reach == 0:
            return cls(0, (1.0,))
        window = np.ones(2 * reach + 1)
        window[0] = window[-1] = half % 1
        return cls(-reach, tuple(window / window.sum()))

    @property
    def last(self) -> int:
        """Offset of the last neighbour."""
        return self.first + len(self.weights) - 1

    @property
    def centre(self) -> float:
        """Mean offset of the neighbours: 0, or half a row where the boxcar is off centre."""
        return self.first + (len(self.weights) - 1) / 2

    def around(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Return the first neighbour of `row`, which may lie beyond the end, and the weights."""
        return row + self.first, self.weights

    def matrix(self, count: int, keep: slice) -> Floats:
        """Return the matrix from `count` rows to the sums for the rows `keep`."""
        return self.apply(np.eye(count), keep)

    def apply(self, rows: NDArray[Any], keep: slice) -> NDArray[Any]:
        """Return the sums for the rows `keep` of `rows`, whose scale axis is the last but one.

        Sums are taken in a fixed order without BLAS, so they don't depend on threads.
        """
        n_rows = rows.shape[-2]
        out = np.zeros((*rows.shape[:-2], keep.stop - keep.start, rows.shape[-1]), rows.dtype)
        for offset, weight in enumerate(self.weights, self.first):
            low = max(keep.start, -offset)
            high = min(keep.stop, n_rows - offset)
            if weight and high > low:
                part = rows[..., low + offset : high + offset, :] * rows.real.dtype.type(weight)
                out[..., low - keep.start : high - keep.start, :] += part
        return out


def gaussian_filter(scales: Floats, length: int, step: float = 1.0) -> Floats:
    """Return exp(-s²ω²/2) per scale (in samples) and FFT bin of rows sampled every `step`.

    Grinsted et al. (2004), section 2.3: the filter is |ψ0| of Morlet, normalised, at each scale.
    """
    omega = 2 * np.pi * scipy.fft.fftfreq(length, step)
    return np.asarray(np.exp(-0.5 * (scales[:, None] * omega) ** 2))


def convolve_in_time(rows: NDArray[Any], gauss: Floats) -> NDArray[Any]:
    """Return rows, shape (..., scales, time), smoothed in time; real if `rows` are.

    `gauss`, shape (scales, length), is from `gaussian_filter`; the rows are padded with zeros to
    its length.
    """
    length, n = gauss.shape[-1], rows.shape[-1]
    if np.isrealobj(rows):
        spectrum = scipy.fft.rfft(rows, length, axis=-1)
        spectrum *= gauss[:, : length // 2 + 1]
        return np.asarray(scipy.fft.irfft(spectrum, length, axis=-1, overwrite_x=True)[..., :n])
    spectrum = scipy.fft.fft(rows, length, axis=-1)
    spectrum *= gauss
    return np.asarray(scipy.fft.ifft(spectrum, axis=-1, overwrite_x=True)[..., :n])


@dataclass(frozen=True, eq=False)
class CircularSmoother:
    """The operator S of coherence for rows that share a step, on a circle.

    Attributes
    ----------
    gauss : ndarray, shape (rows, length)
        From `gaussian_filter`.
    boxcar : ScaleBoxcar
    keep : slice
        Rows that are wanted; the others are neighbours that the boxcar needs.
    matrix : ndarray of float64, shape (kept rows, rows), or None
        The boxcar from `ScaleBoxcar.matrix`: faster for rows of a few hundred samples, but BLAS
        decides on the order of the sums, so the last bits may depend on the computer.
    """

    gauss: Floats
    boxcar: ScaleBoxcar
    keep: slice
    matrix: Floats | None = None

    def smooth(self, rows: NDArray[Any], columns: slice = slice(None)) -> NDArray[Any]:
        """Return S(rows) at `columns`; shape (..., kept rows, columns), real if `rows` are.

        Rows, shape (..., rows, time), are padded with zeros to the length of the circle.
        """
        smoothed = convolve_in_time(rows, self.gauss)[..., columns]
        if self.matrix is None:
            return self.boxcar.apply(smoothed, self.keep)
        # Complex numbers as pairs: the weights are real.
        reals = np.ascontiguousarray(smoothed).view(self.matrix.dtype)
        return np.asarray((self.matrix @ reals).view(smoothed.dtype))


def powers(waves: Complexes) -> Floats:
    """Return |W|²."""
    power = np.square(waves.real)
    power += np.square(waves.imag)
    return power


def squared_coherence(
    power: tuple[Floats, Floats] | Floats, real: Floats, imag: Floats, out: Floats | None = None
) -> Floats:
    """Return R² = |S12|²/(S1 S2) of (S1, S2) and the parts of S12; 0 where a spectrum vanishes."""
    product = power[0] * power[1]
    numerator = np.square(real)
    numerator += np.square(imag)
    r2 = np.empty_like(product) if out is None else out
    r2[...] = 0
    np.divide(numerator, product, out=r2, where=product > 0)
    return np.minimum(r2, 1, out=r2)


class ScaleWindow(Protocol):
    """The smoothing over scales of coherence."""

    def around(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Return the first row of the sum for `row`, and the weights from there on.

        Rows beyond the ends of the axis are allowed; they count as zero.
        """


def window_matrix(window: ScaleWindow, count: int, rows: range | None = None) -> Floats:
    """Return the weights of the sums over `count` scales, shape (rows, count).

    `rows` are all if not given.
    """
    chosen = range(count) if rows is None else rows
    weights = np.zeros((len(chosen), count))
    for out, row in zip(weights, chosen, strict=True):
        first, around = window.around(row)
        inside = slice(max(first, 0), min(first + len(around), count))
        out[inside] = around[inside.start - first : inside.stop - first]
    return weights


@dataclass(frozen=True, eq=False)
class OwnScaleWindow:
    """A boxcar of δj0 octaves over scales that are not a geometric series.

    Every row counts with the part of its interval in log2 s that lies within the boxcar. The
    intervals meet halfway between neighbours; beyond the outermost ones the boxcar has nothing.

    Attributes
    ----------
    first : tuple of int
        First neighbour of every row.
    weights : tuple of tuple of float
    """

    first: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, scales: Floats, deltaj0: float) -> OwnScaleWindow:
        """Return the boxcar for `scales`, which ascend."""
        places = np.log2(scales)
        between = (places[1:] + places[:-1]) / 2
        ends = 2 * places[[0, -1]] - between[[0, -1]]
        edges = np.concatenate([ends[:1], between, ends[1:]])
        first, weights = [], []
        for place in places:
            inside = np.clip(edges, place - deltaj0 / 2, place + deltaj0 / 2)
            parts = np.diff(inside) / deltaj0
            if not parts.any():  # equal scales alone
                parts = (places == place) / places.size
            used = np.flatnonzero(parts)
            first.append(int(used[0]))
            weights.append(tuple(parts[used[0] : used[-1] + 1].tolist()))
        return cls(tuple(first), tuple(weights))

    def around(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Return the first row of the sum for `row`, and the weights from there on."""
        return self.first[row], self.weights[row]


def scale_window(
    scales: Floats, deltaj0: float, dj: float | None, convention: Convention
) -> ScaleWindow:
    """Return the smoothing over `scales`, which ascend.

    Parameters
    ----------
    scales : ndarray, shape (scales,)
    deltaj0 : float
        Width of the boxcar in octaves.
    dj : float or None
        Their spacing, or None for frequencies of the caller's own. If these are a geometric
        series they have the boxcar of the convention, as with `dj`.

    Raises
    ------
    ValueError
        If the convention is pycwt's and the scales are not a geometric series.
    """
    spacing = even_spacing(scales) if dj is None else dj
    if spacing is not None:
        return ScaleBoxcar.of(deltaj0, spacing, convention)
    if convention == "pycwt":
        raise ValueError(
            "freqs must be a geometric series for coherence with convention='pycwt', which has no "
            "other smoothing over scales; use convention='standard'"
        )
    return OwnScaleWindow.of(scales, deltaj0)


def even_spacing(scales: Floats) -> float | None:
    """Return the spacing in octaves of a geometric series without gaps; None for other scales.

    A single scale counts as one of octaves.
    """
    if scales.size == 1:
        return 1.0
    spacing = spacing_of(scales)
    if spacing is None or np.diff(np.sort(np.log2(scales))).max() > 1.5 * spacing:
        return None
    return spacing if np.unique(scales).size == scales.size else None
