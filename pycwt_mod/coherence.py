"""Wavelet coherence of two signals, given others or with several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Unpack

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    MASK_THRESHOLD,
    MEMORY_LIMIT_BYTES,
    Convention,
    Floats,
    GapFill,
    GapPolicy,
    check_convention,
    check_level,
    check_pair,
    check_signals,
    renamed,
    time_last,
)
from pycwt_mod.conditioning import Statistic
from pycwt_mod.cwt_plan import CwtPlan
from pycwt_mod.engine.coherence import PhaseOf
from pycwt_mod.joint import JointTransforms, joint_transforms
from pycwt_mod.planning import plan_for
from pycwt_mod.rednoise import Lag1, lag1_by_name, lag1_of
from pycwt_mod.results import CwtResult, MwctResult, WctResult
from pycwt_mod.significance.coherence import MonteCarlo, SimulationOptions, wct_significance
from pycwt_mod.significance.degrees import check_degrees_of_freedom
from pycwt_mod.smoothing import even_spacing
from pycwt_mod.wavelets import WaveletLike, with_deltaj0


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
    return result if null is None else _with_threshold(result, analysis, null, on_coherence)


@dataclass(frozen=True)
class Null:
    """The null hypothesis of a coherence, and how its threshold is found.

    Attributes
    ----------
    lags : tuple of Lag1
        Of the signals.
    axis : (float, float, int)
        `dj`, `s0` and `J` of the ascending scales.
    statistic : {"coherence", "partial", "multiple"}
    level : float
        Significance level.
    options : SimulationOptions
    """

    lags: tuple[Lag1, ...]
    axis: tuple[float, float, int]
    statistic: Statistic
    level: float
    options: SimulationOptions


Result = TypeVar("Result", WctResult, MwctResult)


def _with_threshold(
    result: Result, analysis: CwtPlan, null: Null, on_coherence: Callable[[Result], None] | None
) -> Result:
    """Return `result` with its thresholds and the lag-1 coefficients behind them."""
    if on_coherence is not None:
        on_coherence(result)
    dj, s0, J = null.axis

    def thresholds(al1: float, al2: float, *others: float) -> Floats:
        levels = wct_significance(
            al1, al2, analysis.dt, dj, s0, J, null.level, analysis.wavelet,
            convention=analysis.convention, n=analysis.n, others=others, statistic=null.statistic,
            **null.options,
        )  # fmt: skip
        return levels.placed(analysis.axis.places)

    members = list(zip(*(lag.g.ravel().tolist() for lag in null.lags), strict=True))
    batch = result.coherence.shape[:-2]
    levels: Floats
    if batch:
        levels = np.array([thresholds(*lags) for lags in members]).reshape(*batch, -1)
    else:
        levels = thresholds(*members[0])
    return result._replace(signif=levels, lag1=null.lags)


def pwct(
    y1: ArrayLike | Sequence[float] | CwtResult,
    y2: ArrayLike | Sequence[float] | CwtResult,
    given: ArrayLike | Sequence[ArrayLike] | CwtResult | Sequence[CwtResult],
    dt: float | None = None,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    sig: bool = True,
    significance_level: float = 0.95,
    wavelet: WaveletLike = "morlet",
    *,
    freqs: ArrayLike | None = None,
    convention: Convention = "standard",
    lag1: Sequence[float] | None = None,
    deltaj0: float | None = None,
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
    significance: MonteCarlo | None = None,
    on_coherence: Callable[[WctResult], None] | None = None,
    **options: Unpack[SimulationOptions],
) -> WctResult:
    """Partial wavelet coherence of two signals: what they share that the signals `given` lack.

    With S the matrix of the smoothed spectra of all signals and P = S⁻¹,
    R²(s, n) = |P_12|²/(P_11 P_22), at the phase of -P_12. For one given signal z this is
    |R_12 - R_1z R_z2|²/((1 - |R_1z|²)(1 - |R_2z|²)) with the complex coherences R.

    Parameters
    ----------
    y1, y2 : array_like, shape (n,) or batches along `axis`, or CwtResult
        As in `wct`. The computation is in double precision; float32 gives float32.
    given : array_like shaped as `y1`, a sequence of these, or CwtResult or a sequence of them
        The signals that are taken into account. In an array with one more axis than `y1`, these are
        along the first axis; of a data frame, the columns.
    dt, dj, s0, J, wavelet, freqs, axis, gap_fill, max_gap, workers, max_bytes, rtol
        As in `wct`.
    sig, significance_level, significance, on_coherence, **options
        As in `wct`. Every surrogate is a set of as many unrelated red noises as there are signals;
        there is no table of these thresholds.
    convention, mask_threshold
        As in `wct`.
    lag1 : sequence of float, optional
        AR(1) coefficients of `y1`, `y2` and the given signals; estimated if not given.
    deltaj0 : float, optional
        Width in octaves of the smoothing over scales, instead of the wavelet's. A wider one lowers
        the threshold, and the resolution in frequency.

    Returns
    -------
    WctResult
        As of `wct`, with the phase of what is left. Values are masked, and 0, where a signal is
        constant, and where the matrix is singular: where the other signals explain all but a
        millionth of the power of one, as of copies.

    Raises
    ------
    ValueError
        As in `wct`, and if more signals are given than the smoothing can carry: if the 95 % level
        of unrelated white noises exceeds 0.95.

    References
    ----------
    Mihanović et al. (2009), doi:10.1016/j.jmarsys.2009.01.018
    Ng & Chan (2012), doi:10.1175/JTECH-D-12-00072.1

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, y, z = rng.standard_normal((3, 500))
    >>> both = wct(x + 3 * z, y + 3 * z, 1.0, sig=False)
    >>> left = pwct(x + 3 * z, y + 3 * z, z, 1.0, sig=False)
    >>> bool(both.coherence.mean() > 0.8), bool(left.coherence.mean() < 0.5)
    (True, True)
    """
    signals = {"y1": y1, "y2": y2, **_named_signals(given, y1, axis)}
    settings = {
        "dt": dt, "dj": dj, "s0": s0, "J": J, "wavelet": wavelet, "freqs": freqs,
        "convention": convention, "axis": axis, "gap_fill": gap_fill, "max_gap": max_gap,
        "rtol": rtol,
    }  # fmt: skip
    joint = _joint(signals, settings, deltaj0, mask_threshold, workers, max_bytes)
    null = _null("pwct", joint, "partial", lag1, significance_level, significance, options, sig=sig)
    result = joint.pwct(
        gaps=GapPolicy(mask_threshold=mask_threshold), workers=workers, max_bytes=max_bytes
    )
    return result if null is None else _with_threshold(result, joint.plan, null, on_coherence)


def mwct(
    target: ArrayLike | Sequence[float] | CwtResult,
    given: ArrayLike | Sequence[ArrayLike] | CwtResult | Sequence[CwtResult],
    dt: float | None = None,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    sig: bool = True,
    significance_level: float = 0.95,
    wavelet: WaveletLike = "morlet",
    *,
    freqs: ArrayLike | None = None,
    convention: Convention = "standard",
    lag1: Sequence[float] | None = None,
    deltaj0: float | None = None,
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
    significance: MonteCarlo | None = None,
    on_coherence: Callable[[MwctResult], None] | None = None,
    **options: Unpack[SimulationOptions],
) -> MwctResult:
    """Multiple wavelet coherence: the part of a signal's power that the signals `given` explain.

    With S the matrix of the smoothed spectra of all signals,
    R²(s, n) = 1 - 1/(S_tt (S⁻¹)_tt) for the target t. For one given signal it is `wct`.

    Parameters
    ----------
    target : array_like, shape (n,) or a batch along `axis`, or CwtResult
    given : array_like shaped as `target`, a sequence of these, or CwtResult or a sequence of them
        The signals that explain it; see `pwct`.
    dt, dj, s0, J, sig, significance_level, wavelet, freqs, convention, deltaj0, axis
        As in `pwct`.
    gap_fill, max_gap, mask_threshold, workers, max_bytes, rtol
        As in `pwct`.
    significance, on_coherence, **options
        As in `pwct`.
    lag1 : sequence of float, optional
        AR(1) coefficients of the target and the given signals; estimated if not given.

    Returns
    -------
    MwctResult
        ``(coherence, coi, freqs, signif)``. Values are masked, and 0, as those of `pwct`.

    Raises
    ------
    ValueError
        As in `pwct`. The level rises quickly with the number of given signals: with Morlet 6 and
        its δj0 of 0.6 octaves, two are accepted; more need a larger `deltaj0`.

    References
    ----------
    Hu & Si (2016), doi:10.5194/hess-20-3183-2016

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, y, noise = rng.standard_normal((3, 500))
    >>> result = mwct(x + y + noise / 4, [x, y], 1.0, sig=False)
    >>> bool(result.coherence.mean() > 0.9)
    True
    """
    signals = {"target": target, **_named_signals(given, target, axis)}
    settings = {
        "dt": dt, "dj": dj, "s0": s0, "J": J, "wavelet": wavelet, "freqs": freqs,
        "convention": convention, "axis": axis, "gap_fill": gap_fill, "max_gap": max_gap,
        "rtol": rtol,
    }  # fmt: skip
    joint = _joint(signals, settings, deltaj0, mask_threshold, workers, max_bytes)
    null = _null(
        "mwct", joint, "multiple", lag1, significance_level, significance, options, sig=sig
    )
    result = joint.mwct(
        gaps=GapPolicy(mask_threshold=mask_threshold), workers=workers, max_bytes=max_bytes
    )
    return result if null is None else _with_threshold(result, joint.plan, null, on_coherence)


def _named_signals(given: Any, like: Any, axis: int | None) -> dict[str, Any]:  # noqa: ANN401
    """Return the given signals or transforms by name; `like` is one of the others."""
    if isinstance(given, CwtResult):
        return {"given": given}
    each: Sequence[Any]
    if isinstance(given, Sequence) and given and all(map(_is_signal, given)):
        each = given
    else:
        array = time_last("given", given, axis)
        more = array.ndim - (like.coefs.ndim - 1 if isinstance(like, CwtResult) else np.ndim(like))
        if more not in (0, 1):
            raise ValueError(
                f"given has shape {array.shape}, but must be one or more signals of shape "
                f"{np.shape(like)}"
            )
        each = [array] if more == 0 else list(array)
    if not each:
        raise ValueError("given has no signals; use wct for the coherence of two")
    if len(each) == 1:
        return {"given": each[0]}
    return {f"given[{k}]": one for k, one in enumerate(each)}


def _is_signal(value: Any) -> bool:  # noqa: ANN401 - whatever the caller gives
    return isinstance(value, CwtResult) or np.ndim(value) > 0


def _joint(
    signals: dict[str, Any],
    settings: dict[str, Any],
    deltaj0: float | None,
    mask_threshold: float | None,
    workers: int,
    max_bytes: int,
) -> JointTransforms:
    """Return the transforms of all signals, or those that are given."""
    joint = joint_transforms(signals, settings)
    if joint is not None:
        return joint.smoothed_over(deltaj0)
    gaps = GapPolicy(
        fill=settings["gap_fill"], max_gap=settings["max_gap"], mask_threshold=mask_threshold
    )
    records = check_signals(signals, settings["axis"])
    analysis = plan_for(
        next(iter(records.values())), settings["dt"], settings["dj"], settings["s0"],
        settings["J"], with_deltaj0(settings["wavelet"], deltaj0), settings["freqs"],
        convention=settings["convention"], rtol=settings["rtol"],
    )  # fmt: skip
    return JointTransforms.of_signals(
        analysis, records, gaps=gaps, workers=workers, max_bytes=max_bytes
    )


def _null(
    name: str,
    joint: JointTransforms,
    statistic: Statistic,
    lag1: Sequence[float] | None,
    level: float,
    significance: MonteCarlo | None,
    options: SimulationOptions,
    *,
    sig: bool,
) -> Null | None:
    """Return the null hypothesis of a partial or multiple coherence; None unless `sig`.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are more signals than the smoothing can carry.
    """
    simulation = simulation_options(name, significance, options)
    check_level("significance_level", level)
    analysis, count = joint.plan, len(joint.names)
    spacing = analysis.dj or even_spacing(analysis.axis.ascending_scales) or 1 / 12
    check_degrees_of_freedom(analysis.wavelet, spacing, analysis.convention, statistic, count)
    if not sig:
        return None
    if lag1 is not None and len(lag1) != count:
        raise ValueError(f"lag1 has {len(lag1)} coefficients, but there are {count} signals")
    lags = tuple(
        lag1_by_name(each, record, None if lag1 is None else lag1[k], f"lag1[{k}]")
        for k, (each, record) in enumerate(zip(joint.names, joint.records, strict=True))
    )
    return Null(lags, level_axis(analysis), statistic, level, simulation)


def simulation_options(
    function: str, significance: MonteCarlo | Literal["table"] | None, options: SimulationOptions
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
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
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


def level_axis(analysis: CwtPlan) -> tuple[float, float, int]:
    """Return `dj`, `s0` and `J` of the ascending scales whose thresholds are simulated."""
    scales = analysis.scales
    dj = even_spacing(scales) if analysis.dj is None else analysis.dj
    if dj is None:
        raise ValueError(
            "cannot compute the threshold: freqs are not a geometric series; give sig=False, or "
            "frequencies such as numpy.geomspace(f1, f2, count)"
        )
    return dj, float(scales.min()), len(scales) - 1
