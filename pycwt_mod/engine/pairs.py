"""Coherence of many pairs of channels, whose rows share a sampling step.

Each channel is transformed once, and each auto-spectrum smoothed once; a pair costs its cross
spectrum alone. The Gaussian in time is a sum over nearby samples, which for a block of outputs is
the product with a band matrix. Matrix products of real planes are faster than FFTs here, and their
rounding is that of the values nearby: unlike an FFT, they resolve in single precision a weak
stretch of a row next to a strong one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Complexes, Floats
from pycwt_mod.smoothing import gaussian_filter

#: Part of its maximum at which the Gaussian in time is cut. Next to a constant stretch, a channel's
#: power falls by many orders of magnitude, and what is cut counts.
GAUSS_TOL = 1e-12
#: Outputs of one matrix product: with fewer, products are slow; with more, most of the matrix is 0.
BLOCK = 64
#: Bytes of the products of one chunk of pairs, which stay in the cache of a core.
_CHUNK_BYTES = 2**20
#: Largest exponent of two for which double precision has the power and its reciprocal.
MAX_EXPONENT = 1000

#: Pairs of channels.
Pairs: TypeAlias = Sequence[tuple[int, ...]]
#: Indices of channels or pairs: a slice where they are consecutive, which needs no copy.
Index: TypeAlias = slice | NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class PairGroup:
    """Pairs that have their first channel in common.

    Attributes
    ----------
    first : int
    seconds : slice or ndarray of int
        The other channels.
    places : slice or ndarray of int
        Their places among all pairs.
    """

    first: int
    seconds: Index
    places: Index


def all_pairs(channels: int) -> tuple[tuple[int, int], ...]:
    """Return all pairs of channels: (0, 1), (0, 2) … (1, 2) …, as `numpy.triu_indices` has them."""
    return tuple((i, j) for i in range(channels) for j in range(i + 1, channels))


def check_pairs(pairs: Pairs, channels: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs as integers; raise ValueError unless each is of two of the channels."""
    checked = []
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= c < channels for c in pair):
            raise ValueError(f"pair {pair!r} must be two different channels below {channels}")
        checked.append((int(pair[0]), int(pair[1])))
    if not checked or len(set(checked)) < len(checked):
        raise ValueError("pairs must contain at least one pair, and none twice")
    return tuple(checked)


def grouped(pairs: Pairs, most: int) -> Iterator[PairGroup]:
    """Yield the pairs in groups of up to `most` with one first channel."""
    by_first: dict[int, list[int]] = {}
    for place, pair in enumerate(pairs):
        by_first.setdefault(pair[0], []).append(place)
    for first, places in by_first.items():
        for start in range(0, len(places), most):
            some = places[start : start + most]
            yield PairGroup(first, _index([pairs[k][1] for k in some]), _index(some))


def _index(numbers: list[int]) -> Index:
    first = numbers[0]
    if numbers == list(range(first, first + len(numbers))):
        return slice(first, first + len(numbers))
    return np.array(numbers, np.intp)


@dataclass(frozen=True, eq=False)
class PairSmoother:
    """The operator S of coherence for rows that share a step, without the ends of a circle.

    Attributes
    ----------
    every : int
        Samples from one output to the next.
    reach : int
        Samples on either side of an output that it is a sum of.
    time : ndarray, shape (rows, samples, outputs)
        The Gaussian of each row, as the matrix from the samples of a block to its outputs.
    scale : ndarray, shape (kept rows, rows)
        The boxcar.
    """

    every: int
    reach: int
    time: Floats
    scale: Floats

    @classmethod
    def build(
        cls,
        scales: Floats,
        boxcar: Floats,
        *,
        every: int = 1,
        dtype: np.dtype[Any],
        tol: float = GAUSS_TOL,
        most: int = BLOCK,
    ) -> PairSmoother:
        """Tabulate the smoothing of rows that are given at some step.

        Parameters
        ----------
        scales : ndarray, shape (rows,)
            In units of the step.
        boxcar : ndarray, shape (kept rows, rows)
        every : int
            Steps from one output to the next.
        tol : float
            Part of its maximum at which the Gaussian is cut.
        most : int
            Largest number of outputs, for smaller tables if it is below a block.
        """
        block = min(BLOCK, most)
        radius = math.sqrt(-2 * math.log(tol))
        reach = math.ceil(radius * float(scales.max()))
        samples = np.arange((block - 1) * every + 2 * reach + 1)
        distance = samples[:, None] - every * np.arange(block) - reach
        u = distance / scales[:, None, None]
        gauss = np.exp(-0.5 * u**2) / (math.sqrt(2 * math.pi) * scales[:, None, None])
        gauss[np.abs(u) > radius] = 0
        return cls(every, reach, gauss.astype(dtype), boxcar.astype(dtype))

    def needed(self, outputs: int) -> int:
        """Return the number of samples from which a number of outputs is computed."""
        return (outputs - 1) * self.every + 2 * self.reach + 1

    def smooth(self, rows: Floats) -> Floats:
        """Return S(rows), shape (kept rows, m, outputs), of (rows, m, samples)."""
        n = (rows.shape[-1] - 2 * self.reach - 1) // self.every + 1
        in_time = np.empty((*rows.shape[:-1], n), rows.dtype)
        block = self.time.shape[-1]
        for start in range(0, n, block):
            count, first = min(block, n - start), start * self.every
            used = self.needed(count)
            np.matmul(
                rows[..., first : first + used],
                self.time[:, :used, :count],
                out=in_time[..., start : start + count],
            )
        smoothed = self.scale @ in_time.reshape(len(rows), -1)
        return smoothed.reshape(-1, *in_time.shape[1:])


@dataclass(frozen=True, eq=False)
class RingingSmoother:
    """The operator S on a circle, for scales so small that the Gaussian rings through all of it.

    Attributes
    ----------
    gauss : ndarray, shape (rows, bins)
        exp(-s²ω²/2).
    scale : ndarray, shape (kept rows, rows)
        The boxcar.
    """

    gauss: Floats
    scale: Floats

    @classmethod
    def build(
        cls, scales: Floats, boxcar: Floats, length: int, dtype: np.dtype[Any]
    ) -> RingingSmoother:
        """Tabulate for rows at every sample of a circle of `length`; `scales` are in samples."""
        gauss = gaussian_filter(scales, length)[:, : length // 2 + 1]
        return cls(gauss.astype(dtype), boxcar.astype(dtype))

    def smooth(self, rows: Floats) -> Floats:
        """Return S(rows), shape (kept rows, m, samples), of (rows, m, samples)."""
        length = rows.shape[-1]
        spectrum = scipy.fft.rfft(rows, axis=-1)
        spectrum *= self.gauss[:, None]
        in_time = scipy.fft.irfft(spectrum, length, axis=-1, overwrite_x=True)
        smoothed: Floats = self.scale @ in_time.reshape(len(rows), -1)
        return smoothed.reshape(-1, *in_time.shape[1:])


def coherencies(
    smoother: PairSmoother | RingingSmoother,
    real: Floats,
    imag: Floats,
    pairs: Pairs,
    weights: Floats | None = None,
) -> Iterator[tuple[Index, Floats]]:
    """Yield the places of some pairs, and S(W1 W2*) / √(S|W1|² S|W2|²) of them.

    Parameters
    ----------
    real, imag : ndarray, shape (rows, channels, samples)
        The parts of W/√s, of the dtype of the tables.
    weights : ndarray, shape (samples,), optional
        Factors of the products; 1 if not given.

    Yields
    ------
    places : slice or ndarray of int
    coherency : ndarray, shape (kept rows, 2, pairs, outputs)
        Real and imaginary part; 0 where a spectrum vanishes.
    """
    power = np.square(real) + np.square(imag)
    auto = smoother.smooth(power if weights is None else power * weights)
    least = np.finfo(auto.dtype).tiny  # the product of two reciprocal roots is finite
    root = np.sqrt(np.maximum(auto, 0, out=auto))
    inverse = np.divide(1, root, out=np.zeros_like(root), where=auto > least)
    rows, _, samples = real.shape
    most = max(1, _CHUNK_BYTES // (2 * rows * samples * real.itemsize))
    for group in grouped(pairs, most):
        one, other = slice(group.first, group.first + 1), group.seconds
        a, b, c, d = real[:, one], imag[:, one], real[:, other], imag[:, other]
        if weights is not None:
            a, b = a * weights, b * weights
        products = np.empty((rows, 2, c.shape[1], samples), real.dtype)
        np.multiply(a, c, out=products[:, 0])
        np.multiply(b, c, out=products[:, 1])
        products[:, 0] += b * d
        products[:, 1] -= a * d
        cross = smoother.smooth(products.reshape(rows, -1, samples))
        cross = cross.reshape(len(cross), 2, -1, cross.shape[-1])
        cross *= (inverse[:, one] * inverse[:, other])[:, None]
        yield group.places, cross


def planes(channels: Iterable[Complexes], count: int, dtype: np.dtype[Any]) -> Floats:
    """Return the parts of W of `count` channels, shape (2, rows, channels, samples).

    Each of `channels` has shape (rows, samples). It is divided by a power of two near its largest
    magnitude: that rounds nothing, coherence does not depend on it, and products stay within the
    range of `dtype`.
    """
    parts: Floats | None = None
    for k, waves in enumerate(channels):
        if parts is None:
            parts = np.empty((2, waves.shape[0], count, waves.shape[1]), dtype)
        largest = max(np.abs(waves.real).max(), np.abs(waves.imag).max())
        exponent = np.clip(np.frexp(largest)[1], -MAX_EXPONENT, MAX_EXPONENT)
        factor = np.ldexp(1.0, -exponent)
        np.multiply(waves.real, factor, out=parts[0, :, k], casting="same_kind")
        np.multiply(waves.imag, factor, out=parts[1, :, k], casting="same_kind")
    if parts is None:
        raise ValueError("signals must have at least one channel")
    return parts


def write_coherence(
    coherency: Floats, places: Index, coherence: Floats, phase: Floats | None
) -> None:
    """Write R² and phase of some pairs, from `coherencies`, whose arrays are overwritten.

    Parameters
    ----------
    coherency : ndarray, shape (kept rows, 2, some pairs, outputs)
    places : slice or ndarray of int
        Where those pairs are in the arrays that are written.
    coherence, phase : ndarray, shape (pairs, kept rows, outputs)
    """
    real, imag = coherency[:, 0], coherency[:, 1]
    if phase is not None:
        _put(np.arctan2, (imag, real), phase, places)
    squared = np.square(real, out=real)
    squared += np.square(imag, out=imag)
    _put(np.minimum, (squared, squared.dtype.type(1)), coherence, places)


def _put(function: np.ufunc, arguments: tuple[Any, ...], out: Floats, places: Index) -> None:
    """Write a function of planes, shape (kept rows, pairs, outputs), to the `places` of `out`."""
    if isinstance(places, slice):
        function(*arguments, out=out[places].swapaxes(0, 1))
    else:
        out[places] = function(*arguments).swapaxes(0, 1)
