"""Wavelet coherence of all pairs of many channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias

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
    check_samples,
    time_last,
)
from pycwt_mod.engine.pairs import all_pairs, check_pairs
from pycwt_mod.pair_results import WctPairsResult
from pycwt_mod.planning import plan_for
from pycwt_mod.rednoise import AR1, Lag1, estimate_ar1
from pycwt_mod.significance.coherence import MonteCarlo, wct_significance
from pycwt_mod.significance.simulation import MonteCarloLevels
from pycwt_mod.thresholds import level_axis, simulation_options
from pycwt_mod.wavelets import WaveletLike

#: Which pairs: all of them, or a list.
PairsLike: TypeAlias = Literal["all"] | Sequence[tuple[int, int]]

#: Digits of the lag-1 coefficients that thresholds are looked up for: they differ by less than
#: 0.001, and pairs of similar channels share one.
LAG1_DIGITS = 2


def wct_pairs(
    signals: ArrayLike,
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    sig: bool = True,
    significance_level: float = 0.95,
    wavelet: WaveletLike = "morlet",
    *,
    pairs: PairsLike = "all",
    phase: bool = True,
    freqs: ArrayLike | None = None,
    convention: Convention = "standard",
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
    significance: MonteCarlo | Literal["table"] = "table",
) -> WctPairsResult:
    """Wavelet coherence of all pairs of channels, each octave at the rate that it needs.

    R² and threshold of a pair are those of `wct`, at every D-th sample of an octave. Each channel
    is transformed once, and its power smoothed once.

    Parameters
    ----------
    signals : array_like, shape (channels, n)
        Channels sampled together, with time along the last axis or `axis`; the columns of a data
        frame are channels. Missing samples as in `cwt`; a channel without a valid sample, or a
        constant one, is masked in all its pairs. float32 gives float32: transforms are computed in
        double precision, products and sums in single precision.
    dt, dj, s0, J, wavelet, freqs, axis, gap_fill, max_gap, workers, max_bytes, rtol
        As in `wct`. `workers` divide the record.
    sig : bool
        Whether to compute thresholds; requires `freqs` in a geometric series.
    significance_level : float
        p, the significance level, between 0 and 1.
    pairs : "all" or sequence of (int, int)
        Which channels; "all" are those of ``numpy.triu_indices(channels, 1)``, in that order.
    phase : bool
        Whether to compute the phase of the smoothed cross spectrum. R² alone takes half the memory.
    convention : {"standard", "pycwt"}
    mask_threshold : float or None
        As in `wct`.
    significance : MonteCarlo or "table"
        How to compute thresholds, as in `wct`, for AR(1) coefficients rounded to two digits: from
        the table, or by a simulation for each pair of rounded coefficients.

    Returns
    -------
    WctPairsResult
        By octave; `WctPairsResult.band_mean` and `WctPairsResult.matrix` make a matrix of channels.

    Raises
    ------
    ValueError
        If an argument is out of range, there are fewer than two channels, or the result would not
        fit `max_bytes`; the message gives the number of bytes.
    NotTabulated
        A ValueError: the table does not cover the arguments.

    References
    ----------
    Grinsted et al. (2004), eq. 8-10, doi:10.5194/npg-11-561-2004

    Examples
    --------
    >>> import numpy as np
    >>> from pycwt_mod import rednoise
    >>> noise = np.stack([rednoise(500, 0.5, rng=seed) for seed in range(4)])
    >>> result = wct_pairs(noise, dt=1, dj=1 / 8)
    >>> result.pairs.tolist()
    [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    >>> result.matrix(result.band_mean(1 / 16, 1 / 4)).shape
    (4, 4)
    """
    check_convention(convention)
    level = check_level("significance_level", significance_level)
    options = simulation_options("wct_pairs", significance, {})
    values = _channels(signals, axis)
    chosen = all_pairs(len(values)) if isinstance(pairs, str) and pairs == "all" else pairs
    chosen = check_pairs(chosen, len(values))
    analysis = plan_for(values, dt, dj, s0, J, wavelet, freqs, convention=convention, rtol=rtol)
    grid = level_axis(analysis) if sig else None
    result = analysis.wct_pairs(
        values, chosen, phase=phase, gap_fill=gap_fill, max_gap=max_gap,
        mask_threshold=mask_threshold, workers=workers, max_bytes=max_bytes,
    )  # fmt: skip
    if grid is None:
        return result
    dj, s0, J = grid
    simulate = partial(
        wct_significance, dt=dt, dj=dj, s0=s0, J=J, wavelet=analysis.wavelet,
        convention=convention, significance_level=level, n=analysis.n, **options,
    )  # fmt: skip
    return _with_levels(result, values, simulate)


def _channels(signals: ArrayLike, axis: int | None) -> Floats:
    """Return the channels, shape (channels, n), NaN where a sample is missing."""
    values: Floats = np.array(time_last("signals", signals, axis), order="C")
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(
            f"signals have shape {values.shape}, but must be (channels, n) with two channels or "
            "more"
        )
    check_samples("signals", values)
    if np.isinf(values).any():
        raise ValueError("signals hold infinite values; missing samples are given as NaN")
    return values


def _with_levels(
    result: WctPairsResult, values: Floats, simulate: Callable[[float, float], MonteCarloLevels]
) -> WctPairsResult:
    """Return the result with the threshold of each pair."""
    lag1 = _lag1(values)
    g = np.round(lag1.g, LAG1_DIGITS)
    lags = np.sort(g[result.pairs], axis=1)
    distinct, which = np.unique(lags, axis=0, return_inverse=True)
    levels = np.array([np.asarray(simulate(*pair)) for pair in distinct.tolist()])
    return replace(result, signif=levels[which.reshape(-1)], lag1=lag1)


def _lag1(values: Floats) -> Lag1:
    """Return the lag-1 coefficient of each channel; 0 for one that is masked altogether."""
    estimates = []
    for channel in values:
        estimate = AR1(0.0, 0.0, 0.0, "given")
        if not np.isnan(channel).all():
            with suppress(ValueError):  # constant, or next to no samples
                estimate = estimate_ar1(channel, "a channel")
        estimates.append(estimate)
    return Lag1(
        np.array([each.g for each in estimates]), np.array([each.estimator for each in estimates])
    )
