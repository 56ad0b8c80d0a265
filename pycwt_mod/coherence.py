"""Wavelet coherence of two signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Unpack

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
from pycwt_mod.rednoise import lag1_of
from pycwt_mod.results import WctResult
from pycwt_mod.significance.coherence import MonteCarlo, SimulationOptions, wct_significance
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
    significance: MonteCarlo | Literal["table"] | None = None,
    on_coherence: Callable[[WctResult], None] | None = None,
    **options: Unpack[SimulationOptions],
) -> WctResult:
    """Wavelet coherence R²(s, n) = |S(W1 W2*/s)|² / (S(|W1|²/s) S(|W2|²/s)).

    S smooths with the Gaussian exp(-t²/2s²) in time and a boxcar of δj0 octaves in scale. With
    `freqs` that are not a geometric series, the weight of each scale is the part of the log2 s axis
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
        Whether to compute the threshold; requires `freqs` in a geometric series.
    significance_level : float
        p, the significance level, between 0 and 1.
    normalize : bool
        Divide by the standard deviations first; coherence itself doesn't depend on it.
    convention : {"standard", "pycwt"}
        Also decides the boxcar in scale (`pycwt_mod.smoothing.ScaleBoxcar`).
    phase_of : {"cross", "smoothed"}
        Whether `phase` is the argument of W1 W2*, as in pycwt, or of S(W1 W2*/s), which is less
        noisy, and which the mean direction of arrows is computed from.
    mask_threshold : float or None
        As in `cwt`, with the energy smoothed as the spectra are: the part of S(|W|²/s) that
        rests on missing samples of either signal. None masks the cone of influence of every
        missing sample, without regard to the smoothing.
    al1, al2 : float, optional
        AR(1) coefficients; estimated if not given.
    significance : MonteCarlo, "table" or None
        How to compute the threshold, for noises as long as the signals: by a simulation with these
        options, or from the table of `wct_significance`. None means ``MonteCarlo()``.
    on_coherence : callable, optional
        Called as ``on_coherence(result)`` with the complete result except for the threshold, before
        the simulation, which takes most of the time: to show the coherence, or to send it on. Its
        arrays are those of the result.
    **options
        The individual options of the threshold, instead of `significance`, under the names of
        `wct_significance`: `mc_count`, `method`, `precision`, `progress`, `cache`, `rng`, `seed`,
        `backend` and `n_jobs`.

    Returns
    -------
    WctResult
        ``(coherence, phase, coi, freqs, signif)``; for batches all but `coi` and `freqs` have
        their axes. Where either signal is constant within a value's support, as with a disconnected
        electrode, its power is only rounding: R² and phase are 0 there, and the `mask` is true.

    Raises
    ------
    ValueError
        If an argument is out of range, the lengths differ, a signal is constant, the wavelet
        has no δj0, or both `significance` and `options` are given.

    References
    ----------
    Grinsted et al. (2004), eq. 8-10, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> from pycwt_mod import rednoise
    >>> x, y = rednoise(200, 0.5, rng=1), rednoise(200, 0.5, rng=2)
    >>> result = wct(x, y, 1.0, 1 / 4, significance=MonteCarlo(count=40, seed=1))
    >>> result.coherence.shape, result.signif.shape
    ((28, 200), (28,))
    """
    simulation = _simulation_options(significance, options)
    check_convention(convention)
    check_level("significance_level", significance_level)
    first, second = check_pair(y1, y2, axis)
    analysis = plan_for(first, dt, dj, s0, J, wavelet, freqs, convention=convention, rtol=rtol)
    null = None
    if sig:
        lags = lag1_of(1, first, al1), lag1_of(2, second, al2)
        null = lags, _level_axis(analysis)
    # The coherence comes first: it checks its arguments, and the threshold takes most of the time.
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
        n=first.shape[-1],
        **simulation,
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


def _simulation_options(
    significance: MonteCarlo | Literal["table"] | None, options: SimulationOptions
) -> SimulationOptions:
    """Return the keywords of `wct_significance` from either form.

    Raises
    ------
    TypeError
        If an option is not one of `SimulationOptions`, or `significance` has another type.
    ValueError
        If both forms are given.
    """
    for name in options:
        if name not in SimulationOptions.__annotations__:
            raise TypeError(f"wct() got an unexpected keyword argument {name!r}")
    if significance is None:
        return options
    if options:
        raise ValueError(_both_forms(options))
    if isinstance(significance, MonteCarlo):
        return {
            "mc_count": significance.count,
            "precision": significance.precision,
            "seed": significance.seed,
            "backend": significance.backend,
            "n_jobs": significance.n_jobs,
            "cache": False if significance.cache is None else significance.cache,
            "progress": False if significance.progress is None else significance.progress,
        }
    advice = "give MonteCarlo(...) or 'table'"
    if not isinstance(significance, str):
        raise TypeError(f"cannot use {significance=}: {advice}")
    if significance != "table":
        raise ValueError(f"cannot use {significance=}: {advice}")
    return {"method": "table"}


def _both_forms(options: SimulationOptions) -> str:
    """Return the message about `options` that are given together with `significance`."""
    names = " and ".join(f"{name}=" for name in options)
    fields = {"mc_count": "count", "rng": "seed"}
    inside = [f"{fields.get(name, name)}=..." for name in options if name != "method"]
    instead = f"MonteCarlo({', '.join(inside)})" if inside else "either MonteCarlo(...) or 'table'"
    return f"cannot use {names} with significance=: give {instead}"


def _level_axis(analysis: CwtPlan) -> tuple[float, float, int]:
    """Return `dj`, `s0` and `J` of the ascending scales whose thresholds are simulated."""
    scales = analysis.scales
    dj = even_spacing(scales) if analysis.dj is None else analysis.dj
    if dj is None:
        raise ValueError(
            "cannot compute the threshold: freqs are not a geometric series; give sig=False, or "
            "frequencies such as numpy.geomspace(f1, f2, count)"
        )
    return dj, float(scales.min()), len(scales) - 1
