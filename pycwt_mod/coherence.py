"""Wavelet coherence of two signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    MASK_THRESHOLD,
    MEMORY_LIMIT_BYTES,
    Convention,
    Floats,
    GapFill,
    check_convention,
    check_level,
    check_pair,
    renamed,
)
from pycwt_mod.cwt_plan import CwtPlan
from pycwt_mod.engine.coherence import PhaseOf
from pycwt_mod.planning import plan_for
from pycwt_mod.rednoise import Seed, lag1_of
from pycwt_mod.results import WctResult
from pycwt_mod.significance.coherence import Cache, wct_significance
from pycwt_mod.significance.levels import Method
from pycwt_mod.significance.simulation import Progress
from pycwt_mod.smoothing import even_spacing
from pycwt_mod.wavelets import WaveletLike


@renamed(early="on_coherence")
def wct(
    y1: ArrayLike | Sequence[float],
    y2: ArrayLike | Sequence[float],
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    sig: bool = True,
    significance_level: float = 0.95,
    wavelet: WaveletLike = "morlet",
    normalize: bool = True,
    *,
    freqs: ArrayLike | None = None,
    convention: Convention = "standard",
    al1: float | None = None,
    al2: float | None = None,
    phase_of: PhaseOf = "cross",
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
    mc_count: int = 300,
    method: Method = "montecarlo",
    precision: float | None = None,
    progress: bool | Progress = False,
    cache: bool | Cache = False,
    rng: Seed = None,
    seed: Seed = None,
    backend: str = "sequential",
    n_jobs: int = 1,
    on_coherence: Callable[[WctResult], None] | None = None,
) -> WctResult:
    """Wavelet coherence R²(s, n) = |S(W1 W2*/s)|² / (S(|W1|²/s) S(|W2|²/s)).

    S smooths with the Gaussian exp(-t²/2s²) in time and a boxcar of δj0 octaves in scale. With
    `freqs` that are not a geometric series each scale counts with the part of the log2 s axis
    that is nearest to it and within the boxcar.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,) or batches along `axis`
        Signals sampled together. Missing samples and data frames as in `cwt`; two pandas
        objects must have the same index. float32 is computed in single precision, unless a
        signal has next to no power in some octave, and gives float32.
    dt, dj, s0, J, wavelet, freqs, axis, gap_fill, max_gap, workers, max_bytes, rtol
        As in `cwt`; the wavelet needs a δj0. `rtol` bounds the smoothed spectra.
    sig : bool
        Whether to compute the level; not with `freqs` that are not a geometric series.
    significance_level : float
        p, between 0 and 1.
    normalize : bool
        Divide by the standard deviations first; coherence itself doesn't depend on it.
    convention : {"standard", "pycwt"}
        Also decides the boxcar in scale (`pycwt_mod.smoothing.ScaleBoxcar`).
    phase_of : {"cross", "smoothed"}
        Whether `phase` is the argument of W1 W2*, as in pycwt, or of S(W1 W2*/s), which is less
        noisy, and which a mean direction of arrows is made of.
    mask_threshold : float or None
        As in `cwt`, with the energy smoothed as the spectra are: the part of S(|W|²/s) that
        rests on missing samples of either signal. None masks the cone of influence of every
        missing sample, without regard to the smoothing.
    al1, al2 : float, optional
        AR(1) coefficients; estimated if not given.
    mc_count, method, precision, progress, cache, rng, seed, backend, n_jobs
        As in `wct_significance`, which is given the length of the signals.
    on_coherence : callable, optional
        Called as ``on_coherence(result)`` with all but the level, before that is simulated, which
        takes most of the time: to show the coherence, or to send it on. Its arrays are those of
        the result.

    Returns
    -------
    WctResult
        ``(coherence, phase, coi, freqs, signif)``; for batches all but `coi` and `freqs` have
        their axes.

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
    first, second = check_pair(y1, y2, axis)
    analysis = plan_for(first, dt, dj, s0, J, wavelet, freqs, convention=convention, rtol=rtol)
    null = None
    if sig:
        lags = lag1_of(1, first, al1), lag1_of(2, second, al2)
        null = lags, _level_axis(analysis)
    # The coherence comes first: it checks its arguments, and the level takes most of the time.
    result = analysis.wct(
        first, second, normalize=normalize, phase_of=phase_of, workers=workers,
        max_bytes=max_bytes, gap_fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold,
    )  # fmt: skip
    if null is None:
        return result
    lags, (dj, s0, J) = null
    if on_coherence is not None:
        on_coherence(result)
    simulate = partial(
        wct_significance,
        dt=dt,
        dj=dj,
        s0=s0,
        J=J,
        wavelet=analysis.wavelet,
        convention=convention,
        significance_level=significance_level,
        mc_count=mc_count,
        method=method,
        precision=precision,
        n=first.shape[-1],
        progress=progress,
        cache=cache,
        rng=rng,
        seed=seed,
        backend=backend,
        n_jobs=n_jobs,
    )
    levels: Floats
    if first.ndim == 1:
        levels = simulate(float(lags[0].g), float(lags[1].g)).placed(analysis.axis.places)
    else:
        pairs = zip(lags[0].g.ravel(), lags[1].g.ravel(), strict=True)
        places = analysis.axis.places
        levels = np.array([simulate(float(g1), float(g2)).placed(places) for g1, g2 in pairs])
        levels = levels.reshape(*first.shape[:-1], -1)
    return result._replace(signif=levels, lag1=lags)


def _level_axis(analysis: CwtPlan) -> tuple[float, float, int]:
    """Return `dj`, `s0` and `J` of the ascending scales, which levels are simulated for."""
    scales = analysis.scales
    dj = even_spacing(scales) if analysis.dj is None else analysis.dj
    if dj is None:
        raise ValueError(
            "cannot compute the level: freqs are not a geometric series; give sig=False, or "
            "frequencies such as numpy.geomspace(f1, f2, count)"
        )
    return dj, float(scales.min()), len(scales) - 1
