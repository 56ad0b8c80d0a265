"""Coherence of surrogates, unrelated red noises: octaves, and seeded tasks of them.

The coherence of a row depends on nothing but the spectrum within its band. So every octave
is simulated on its own, at its own sampling step, and only as long as it needs to be:
counted in scales all octaves have records of equal length, and the work goes where the error
is. A task owns its seed, and is computed in the same way wherever it runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pycwt_mod.arrays import Bools, Complexes, Floats
from pycwt_mod.conditioning import Statistic, multiple_coherence, pairs_of, partial_coherence
from pycwt_mod.engine.filter_bank import FilterBank
from pycwt_mod.rednoise import ar1_spectrum, redden
from pycwt_mod.smoothing import (
    CircularSmoother,
    ScaleBoxcar,
    gaussian_filter,
    powers,
    squared_coherence,
)
from pycwt_mod.wavelets import Wavelet

#: Bins of R² between 0 and 1, as in pycwt and Grinsted's toolbox.
BINS = 1000
#: Where bands are cut in simulations: far below the width of a bin.
SURROGATE_TOL = 1e-4
#: Complex numbers in a batch of rows; larger ones leave the cache.
BATCH_POINTS = 2**17


@dataclass(frozen=True, kw_only=True)
class SurrogateOctave:
    """The rows of one octave under the null hypothesis; times in samples of the noise.

    Attributes
    ----------
    scales : tuple of float
        All rows that are computed, neighbours for the boxcar included.
    keep : tuple of int
        First and one past the last row that is counted.
    step, length : int
        Sampling step D of the rows, and FFT length M.
    record : int
        Samples of a record with ends, of which what lies outside the cone of influence is
        counted; 0 for endless (circular) noise, of which everything is.
    al1, al2 : float
        AR(1) coefficients per sample of the first two noises.
    centred : bool
        Whether a record's mean is removed.
    exact_ends : bool
        Whether the first and the last sample of a record, of those every D, stand for the part
        of the record around them in averages over time, and not for D samples. It matters where
        a record has few of them.
    others : tuple of float
        AR(1) coefficients of further noises, of partial and multiple coherence.
    statistic : {"coherence", "partial", "multiple"}
        What is counted.
    """

    wavelet: Wavelet
    scales: tuple[float, ...]
    keep: tuple[int, int]
    step: int
    length: int
    record: int
    al1: float
    al2: float
    centred: bool
    boxcar: ScaleBoxcar
    exact_ends: bool = False
    others: tuple[float, ...] = ()
    statistic: Statistic = "coherence"

    @property
    def lags(self) -> tuple[float, ...]:
        """AR(1) coefficients of all noises."""
        return self.al1, self.al2, *self.others


@dataclass(frozen=True, kw_only=True)
class SurrogateTask:
    """Some surrogates of one octave, with their own seed: pairs, or sets of more noises."""

    rows: SurrogateOctave
    pairs: int
    entropy: int
    spawn_key: tuple[int, ...]


def run_task(task: SurrogateTask, *, batch_points: int = BATCH_POINTS) -> NDArray[np.int64]:
    """Return how often R² fell into each bin; shape (kept rows, BINS).

    `batch_points` is the number of coefficients computed at a time; it only changes the time.
    """
    seed = np.random.SeedSequence(task.entropy, spawn_key=task.spawn_key)
    rng = np.random.Generator(np.random.Philox(seed))
    rows = task.rows
    filters, smoother = _filters(rows)
    counted = counted_samples(rows)
    n_kept = rows.keep[1] - rows.keep[0]
    histogram = np.zeros(n_kept * BINS, np.int64)
    offsets = (np.arange(n_kept) * BINS)[:, None]
    per_batch = max(1, 2 * batch_points // (len(rows.lags) * smoother.gauss.size))
    for start in range(0, task.pairs, per_batch):
        pairs = min(per_batch, task.pairs - start)
        waves = filters.samples(_noise_band(rows, filters, rng, pairs))
        if rows.record:
            _cut(waves, rows)
        r2 = _statistic(smoother, waves, rows.statistic)
        bins = np.minimum((r2 * BINS).astype(np.int64), BINS - 1) + offsets
        histogram += np.bincount(bins[:, counted].ravel(), minlength=histogram.size)
    return histogram.reshape(n_kept, BINS)


def _cut(waves: Complexes, rows: SurrogateOctave) -> None:
    """Set the rows to zero beyond the ends of the record, in place."""
    last = (rows.record - 1) // rows.step
    waves[..., last + 1 :] = 0
    if rows.exact_ends:
        after = rows.record - 1 - last * rows.step
        for place, outer in ((0, 0), (last, after)):
            # Powers are products of two rows.
            waves[..., place] *= np.float32(math.sqrt((rows.step / 2 + outer + 0.5) / rows.step))


def counted_samples(rows: SurrogateOctave) -> Bools:
    """Return which samples of each kept row lie outside the cone of influence.

    Where none does, the middle of the record counts, which feels its ends least.
    """
    scales = np.array(rows.scales[slice(*rows.keep)])[:, None]
    time = np.arange(rows.length // rows.step) * rows.step
    if not rows.record:
        return np.ones((len(scales), len(time)), np.bool_)
    distance = rows.record / 2 - np.abs(time - (rows.record - 1) / 2)
    limit = np.minimum(rows.wavelet.efolding * scales, distance.max())
    return np.asarray(distance >= limit)


@lru_cache(maxsize=64)
def _filters(rows: SurrogateOctave) -> tuple[FilterBank, CircularSmoother]:
    scales = np.array(rows.scales)
    kind = np.dtype(np.float32)
    filters = FilterBank.one_sided(
        rows.wavelet, scales, rows.length, rows.step, dtype=kind, tol=SURROGATE_TOL
    )
    gauss = gaussian_filter(scales, rows.length // rows.step, rows.step)
    # Constant factors, such as √(2π) in the filters, cancel in coherence.
    smoother = CircularSmoother(gauss.astype(kind), rows.boxcar, slice(*rows.keep))
    return filters.per_root_scale(scales), smoother


def _noise_band(
    rows: SurrogateOctave, filters: FilterBank, rng: np.random.Generator, pairs: int
) -> Complexes:
    """Return the bins that the filters use, of noises; shape (noises, pairs, bins)."""
    if rows.record:
        noise = _records(rows, rng, pairs)
        if rows.centred:
            noise -= noise.mean(axis=-1, keepdims=True)
        spectrum = scipy.fft.rfft(noise.astype(np.float32), rows.length, axis=-1)
        return np.asarray(spectrum[..., filters.used_bins])
    bins = filters.used_bins
    freqs = np.arange(bins.start, bins.stop) / rows.length
    amplitude = np.sqrt(np.stack([ar1_spectrum(freqs, g) for g in rows.lags]))
    # Pair by pair, so that the stream of random numbers is cut alike into batches of any size.
    shape = (pairs, len(rows.lags), bins.stop - bins.start, 2)
    pairs_of_reals = rng.standard_normal(shape, dtype=np.float32)
    band: Complexes = pairs_of_reals.view(np.complex64)[..., 0].swapaxes(0, 1)
    band *= amplitude.astype(np.float32)[:, None, :]
    return band


def _records(rows: SurrogateOctave, rng: np.random.Generator, pairs: int) -> NDArray[np.float64]:
    """Return AR(1) noises drawn pair by pair; shape (noises, pairs, record)."""
    white = rng.standard_normal((pairs, len(rows.lags), rows.record)).swapaxes(0, 1)
    return np.stack([redden(w, g) for w, g in zip(white, rows.lags, strict=True)])


def _statistic(smoother: CircularSmoother, waves: Complexes, statistic: Statistic) -> Floats:
    """Return R² of sets of noises; shape (pairs, kept rows, samples)."""
    # Each power has a real FFT of its own: in a complex one that both share, the rounding of the
    # larger would hide the smaller.
    power = smoother.smooth(powers(waves))
    if statistic == "coherence":
        cross = smoother.smooth(waves[0] * np.conj(waves[1]))
        return squared_coherence(power, cross.real, cross.imag)
    products = np.stack([waves[i] * np.conj(waves[j]) for i, j in pairs_of(len(waves))])
    function = partial_coherence if statistic == "partial" else multiple_coherence
    return function(power, smoother.smooth(products)).coherence
