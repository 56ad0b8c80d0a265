"""Wavelet coherence of two signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Unpack

from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    MASK_THRESHOLD,
    MEMORY_LIMIT_BYTES,
    Convention,
    GapFill,
    GapPolicy,
    check_convention,
    check_level,
    check_pair,
    renamed,
)
from pycwt_mod.engine.coherence import PhaseOf
from pycwt_mod.joint import joint_transforms
from pycwt_mod.planning import plan_for
from pycwt_mod.rednoise import lag1_of
from pycwt_mod.results import CwtResult, WctResult
from pycwt_mod.significance.coherence import MonteCarlo, SimulationOptions
from pycwt_mod.thresholds import Null, level_axis, simulation_options, with_threshold
from pycwt_mod.wavelets import WaveletLike


@renamed(early="on_coherence")
def wct(
    y1: ArrayLike | Sequence[float] | CwtResult,
    y2: ArrayLike | Sequence[float] | CwtResult,
    dt: float | None = None,
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
    y1, y2 : array_like, shape (n,) or batches along `axis`, or two CwtResult
        Signals sampled together. Missing samples and data frames as in `cwt`; two pandas
        objects must have the same index. float32 is computed in single precision, unless a
        signal has next to no power in some octave, and gives float32. Transforms from `cwt` are
        smoothed as they are; they must have the same axis, and come with their own `dt`, scales,
        wavelet and convention.
    dt, dj, s0, J, wavelet, freqs, axis, gap_fill, max_gap, workers, max_bytes, rtol
        As in `cwt`; the wavelet needs a δj0. `rtol` bounds the smoothed spectra. Signals need
        `dt`.
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
        has no δj0, transforms differ in their axis, or both `significance` and `options` are given.

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
    simulation = simulation_options("wct", significance, options)
    check_convention(convention)
    check_level("significance_level", significance_level)
    settings = {
        "dt": dt, "dj": dj, "s0": s0, "J": J, "wavelet": wavelet, "freqs": freqs,
        "convention": convention, "axis": axis, "gap_fill": gap_fill, "max_gap": max_gap,
        "rtol": rtol,
    }  # fmt: skip
    joint = joint_transforms({"y1": y1, "y2": y2}, settings)
    if joint is not None:
        (first, second), analysis = joint.records, joint.plan
    else:
        first, second = check_pair(y1, y2, axis)
        analysis = plan_for(first, dt, dj, s0, J, wavelet, freqs, convention=convention, rtol=rtol)
    null = None
    if sig:
        lags = lag1_of(1, first, al1), lag1_of(2, second, al2)
        null = Null(lags, level_axis(analysis), "coherence", significance_level, simulation)
    # The coherence comes first: it checks its arguments, and the threshold takes most of the time.
    if joint is not None:
        result = joint.wct(
            normalize=normalize, phase_of=phase_of, workers=workers, max_bytes=max_bytes,
            gaps=GapPolicy(mask_threshold=mask_threshold),
        )  # fmt: skip
    else:
        result = analysis.wct(
            first, second, normalize=normalize, phase_of=phase_of, workers=workers,
            max_bytes=max_bytes, gap_fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold,
        )  # fmt: skip
    return result if null is None else with_threshold(result, analysis, null, on_coherence)
