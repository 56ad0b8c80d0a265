"""Coherence of more than two signals: partial and multiple."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    MASK_THRESHOLD,
    MEMORY_LIMIT_BYTES,
    Convention,
    GapFill,
    GapPolicy,
    check_level,
    check_signals,
    time_last,
)
from pycwt_mod.conditioning import Statistic
from pycwt_mod.joint import Joint, JointSignals, joint_mwct, joint_pwct, joint_transforms
from pycwt_mod.planning import plan_for
from pycwt_mod.rednoise import lag1_by_name
from pycwt_mod.results import CwtResult, MwctResult, WctResult
from pycwt_mod.significance.coherence import MonteCarlo, SimulationOptions
from pycwt_mod.significance.degrees import check_degrees_of_freedom
from pycwt_mod.smoothing import even_spacing
from pycwt_mod.thresholds import Null, level_axis, simulation_options, with_threshold
from pycwt_mod.wavelets import WaveletLike, with_deltaj0


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
    >>> from pycwt_mod import wct
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
    result = joint_pwct(
        joint, gaps=GapPolicy(mask_threshold=mask_threshold), workers=workers, max_bytes=max_bytes
    )
    return result if null is None else with_threshold(result, joint.plan, null, on_coherence)


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
    result = joint_mwct(
        joint, gaps=GapPolicy(mask_threshold=mask_threshold), workers=workers, max_bytes=max_bytes
    )
    return result if null is None else with_threshold(result, joint.plan, null, on_coherence)


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
) -> Joint:
    """Return the signals, or the transforms that are given."""
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
    return JointSignals.of(analysis, records, gaps=gaps, workers=workers, max_bytes=max_bytes)


def _null(
    name: str,
    joint: Joint,
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
