"""Wavelet coherence of two signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    MEMORY_LIMIT_BYTES,
    Complexes,
    Convention,
    Floats,
    check_convention,
    check_level,
    check_memory,
)
from pycwt_mod.montecarlo import Cache, Progress, wct_significance
from pycwt_mod.pairs import check_pair, lag1_of, standardise
from pycwt_mod.rednoise import Seed
from pycwt_mod.results import WctResult
from pycwt_mod.scale_axis import ScaleAxis
from pycwt_mod.smoothing import ScaleBoxcar, coherence, gaussian_filter, smooth_in_time
from pycwt_mod.transform import cwt, padded_length
from pycwt_mod.wavelets import Wavelet, as_wavelet

#: Bytes per point of the plane that are alive at once (two transforms, two smoothed spectra).
_BYTES_PER_POINT = 96
_BLOCK_POINTS = 2**18


def wct(
    y1: ArrayLike | Sequence[float],
    y2: ArrayLike | Sequence[float],
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    sig: bool = True,
    significance_level: float = 0.95,
    wavelet: Wavelet | str = "morlet",
    normalize: bool = True,
    *,
    convention: Convention = "standard",
    al1: float | None = None,
    al2: float | None = None,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    mc_count: int = 300,
    progress: bool | Progress = False,
    cache: bool | Cache = False,
    rng: Seed = None,
    seed: Seed = None,
    backend: str = "sequential",
    n_jobs: int = 1,
) -> WctResult:
    """Wavelet coherence R²(s, n) = |S(W1 W2*/s)|² / (S(|W1|²/s) S(|W2|²/s)).

    S smooths with the Gaussian exp(-t²/2s²) in time and a boxcar of δj0 octaves in scale.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,)
        Signals sampled together; NaN means missing.
    dt, dj, s0, J, wavelet, workers, max_bytes
        As in `cwt`; the wavelet needs a δj0.
    sig : bool
        Whether to compute the level.
    significance_level : float
        p, between 0 and 1.
    normalize : bool
        Divide by the standard deviations first; coherence itself doesn't depend on it.
    convention : {"standard", "pycwt"}
        Also decides the boxcar in scale (`pycwt_mod.smoothing.ScaleBoxcar`).
    al1, al2 : float, optional
        AR(1) coefficients; estimated if not given.
    mc_count, progress, cache, rng, seed, backend, n_jobs
        As in `wct_significance`.

    Returns
    -------
    WctResult
        ``(coherence, phase, coi, freqs, signif)``.

    Raises
    ------
    ValueError
        If an argument is out of range, the lengths differ, a signal is constant, or the
        wavelet has no δj0.

    References
    ----------
    Grinsted et al. (2004), eq. 8-10, doi:10.5194/npg-11-561-2004
    """
    check_convention(convention)
    check_level("significance_level", significance_level)
    mother = as_wavelet(wavelet)
    first, second = check_pair(y1, y2)
    n = len(first)
    grid = ScaleAxis.make(n, dt, dj, s0, J, mother)
    check_memory("coherence", len(grid.scales) * n * _BYTES_PER_POINT, max_bytes)
    boxcar = ScaleBoxcar.of(mother.deltaj0, dj, convention)
    lags = (lag1_of("y1", first, al1), lag1_of("y2", second, al2)) if sig else (0.0, 0.0)
    a, b = standardise("y1", first), standardise("y2", second)
    if not normalize:
        a, b = first, second
    options: dict[str, Any] = {"convention": convention, "workers": workers, "max_bytes": max_bytes}
    t1 = cwt(a, dt, dj, s0, J, mother, **options)
    t2 = cwt(b, dt, dj, s0, J, mother, **options)
    mask = t1.mask | t2.mask
    w1, w2 = t1.coefs, t2.coefs
    root = (1 / np.sqrt(grid.scales)).astype(w1.real.dtype)[:, None]
    w1 *= root
    w2 *= root
    phase = np.angle(w1 * np.conj(w2))
    auto, cross = _smooth(w1, w2, grid.scales / dt, boxcar, padded_length(n, convention), workers)
    levels: Floats = np.zeros(1)
    if sig:
        levels = wct_significance(
            *lags,
            dt,
            dj,
            float(grid.scales[0]),
            len(grid.scales) - 1,
            significance_level,
            mother,
            mc_count,
            progress,
            cache,
            convention=convention,
            rng=rng,
            seed=seed,
            backend=backend,
            n_jobs=n_jobs,
        )
    r2 = coherence(auto, cross)
    smoothed = np.stack([cross.real, cross.imag])
    return WctResult(r2, phase, t1.coi, grid.freqs, levels, smoothed=smoothed, mask=mask)


def _smooth(
    w1: Complexes, w2: Complexes, scales: Floats, boxcar: ScaleBoxcar, length: int, workers: int
) -> tuple[Complexes, Complexes]:
    """Return S1 + i S2 and S12 from rows already divided by √s; `scales` in samples."""
    auto, cross = np.empty_like(w1), np.empty_like(w2)
    per_block = max(1, _BLOCK_POINTS // length)
    for start in range(0, len(scales), per_block):
        rows = slice(start, start + per_block)
        gauss = gaussian_filter(scales[rows], length).astype(w1.real.dtype)
        auto[rows], cross[rows] = smooth_in_time(w1[rows], w2[rows], gauss, workers)
    everything = slice(0, len(scales))
    return boxcar.apply(auto, everything), boxcar.apply(cross, everything)
