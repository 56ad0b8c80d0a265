"""Several transforms on one axis: their cross spectra and coherences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from pycwt_mod.arrays import (
    Bools,
    Complexes,
    Floats,
    GapPolicy,
    check_count,
    check_memory,
    complex_dtype,
    deviation,
    has_weak_octave,
    padded_length,
    standardise,
    unit_scaled,
)
from pycwt_mod.conditioning import multiple_coherence, pairs_of, partial_coherence
from pycwt_mod.cwt_plan import CwtPlan
from pycwt_mod.engine.coherence import PhaseOf, check_phase_of
from pycwt_mod.engine.filter_bank import resolve_rtol
from pycwt_mod.engine.scale_axis import ScaleAxis
from pycwt_mod.rednoise import lag1_of
from pycwt_mod.results import CwtResult, MwctResult, Origin, WctResult, XwtResult
from pycwt_mod.significance.chi_square import cross_levels
from pycwt_mod.smoothing import squared_coherence
from pycwt_mod.wavelets import as_wavelet, with_deltaj0

#: Planes of reals that a coherence keeps: R², phase, two of the smoothed cross spectrum, mask.
_KEPT_PLANES = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTransforms:
    """Transforms of signals that were sampled together.

    Attributes
    ----------
    plan : CwtPlan
        The analysis that all of them have in common.
    names : tuple of str
        Names of the arguments, for errors.
    records : tuple of ndarray, shape (..., n)
        The signals, NaN where a sample is missing.
    coefs : tuple of ndarray, shape (..., scales, n)
    """

    plan: CwtPlan
    names: tuple[str, ...]
    records: tuple[Floats, ...]
    coefs: tuple[Complexes, ...]

    @classmethod
    def of(cls, results: Mapping[str, CwtResult]) -> JointTransforms:
        """Return the transforms `results`, which must have one axis.

        Raises
        ------
        ValueError
            If one has no `origin`, or differs from the first in its axis, wavelet, convention or
            shape; the message says in what.
        """
        facts = {name: _facts(name, result) for name, result in results.items()}
        first, *others = facts
        for name in others:
            for fact, value in facts[first].items():
                theirs = facts[name][fact]
                if not np.array_equal(value, theirs):  # type: ignore[arg-type]
                    raise ValueError(
                        f"cannot combine transforms: {first} has {fact} {_shown(value)}, and "
                        f"{name} {_shown(theirs)}; transform both alike"
                    )
        one = results[first]
        origin = _origin(first, one)
        coefs = tuple(result.coefs for result in results.values())
        dtype = np.result_type(*(each.real.dtype for each in coefs))
        n = origin.record.shape[-1]
        plan = CwtPlan(
            n=n, dt=_interval(first, one), wavelet=origin.wavelet, convention=origin.convention,
            dtype=dtype, rtol=resolve_rtol(None, dtype),
            length=padded_length(n, origin.convention), dj=origin.dj,
            axis=ScaleAxis(scales=one.scales, freqs=one.freqs),
        )  # fmt: skip
        records = tuple(_origin(name, result).record for name, result in results.items())
        return cls(plan=plan, names=tuple(results), records=records, coefs=coefs)

    def xwt(
        self,
        significance_level: float,
        *,
        normalize: bool,
        al1: float | None,
        al2: float | None,
        gaps: GapPolicy,
        max_bytes: int,
    ) -> XwtResult:
        """Return W1 W2* of two transforms, with its threshold."""
        first, second = self.coefs
        check_memory("the cross transform", first.nbytes, max_bytes)
        if normalize:
            factors = [1 / each[..., None] for each in deviations(self.names, self.records)]
            first, second = first * factors[0], second * factors[1]
        cross = first * np.conj(second)
        y1, y2 = self.records
        plan, lag1 = self.plan, (lag1_of(1, y1, al1), lag1_of(2, y2, al2))
        levels = cross_levels(
            y1, y2, lag1, plan.scales / plan.dt, significance_level, plan.wavelet,
            convention=plan.convention, normalize=normalize,
        )  # fmt: skip
        mask = plan.cross_mask(y1, y2, np.isnan(y1) | np.isnan(y2), gaps)
        values = cross.astype(complex_dtype(plan.dtype), copy=False)
        axes = plan.coi.copy(), plan.freqs.copy()
        return XwtResult(values, *axes, levels, mask=mask, lag1=lag1, dt=plan.dt)

    def wct(
        self, *, normalize: bool, phase_of: PhaseOf, gaps: GapPolicy, workers: int, max_bytes: int
    ) -> WctResult:
        """Return the coherence of two transforms, without a threshold."""
        check_phase_of(phase_of)
        factors, exponent = self._factors(normalize=normalize)
        shape = checked_shape(self, workers, max_bytes)
        r2, phase = np.empty(shape), np.empty(shape)
        smoothed = np.empty((2, *shape))
        for k in np.ndindex(shape[:-2]):
            waves = self._waves(factors, k)
            power, (cross,) = self.plan.transform_smoother.spectra(waves, workers)
            r2[k] = squared_coherence(power, cross.real, cross.imag)
            smoothed[(0, *k)], smoothed[(1, *k)] = cross.real, cross.imag
            product = cross if phase_of == "smoothed" else waves[0] * np.conj(waves[1])
            phase[k] = np.angle(product)
        with np.errstate(over="ignore", under="ignore"):
            np.ldexp(smoothed, exponent, out=smoothed)
        planes = [_finished(self.plan, plane) for plane in (r2, phase, smoothed)]
        mask = _mask(self, planes, gaps)
        axes = self.plan.coi.copy(), self.plan.freqs.copy()
        none = np.zeros(1)
        return WctResult(*planes[:2], *axes, none, smoothed=planes[2], mask=mask, dt=self.plan.dt)

    def smoothed_over(self, deltaj0: float | None) -> JointTransforms:
        """Return the transforms with another width of the smoothing over scales, in octaves."""
        if deltaj0 is None:
            return self
        return replace(
            self, plan=replace(self.plan, wavelet=with_deltaj0(self.plan.wavelet, deltaj0))
        )

    def spectra(self, k: tuple[int, ...], workers: int) -> tuple[Floats, Complexes]:
        """Return the smoothed power and cross spectra of batch member `k`; see `CwtPlan`."""
        waves = self._waves(self._factors(normalize=True)[0], k)
        return self.plan.transform_smoother.spectra(waves, workers)

    def _factors(self, *, normalize: bool) -> tuple[list[Floats], Any]:
        """Return what coefficients are multiplied by, and the exponent of their products' unit.

        Coherence does not depend on them, but products of very small or large values would be out
        of range.

        Raises
        ------
        ValueError
            If a signal is constant, or was transformed in single precision, which does not resolve
            it.
        """
        for name, record, coefs in zip(self.names, self.records, self.coefs, strict=True):
            if coefs.dtype == np.complex64 and has_weak_octave(record):
                raise ValueError(
                    f"cannot use {name} in single precision: it has next to no power in some "
                    "octave; transform it as float64"
                )
        if normalize:
            return [1 / each[..., None] for each in deviations(self.names, self.records)], 0
        exponents = [unit_scaled(record)[1][..., None] for record in self.records]
        return [np.ldexp(1.0, -each) for each in exponents], sum(exponents)

    def _waves(self, factors: list[Floats], k: tuple[int, ...]) -> Complexes:
        """Return the scaled coefficients of batch member `k`, rows in the order of the scales."""
        ascending = self.plan.axis.ascending
        waves: Complexes = np.stack(
            [
                coefs[k][ascending] * factor[k]
                for coefs, factor in zip(self.coefs, factors, strict=True)
            ]
        ).astype(np.complex128, copy=False)
        return waves


@dataclass(frozen=True, kw_only=True, eq=False)
class JointSignals:
    """Signals that were sampled together, to be analysed alike.

    Attributes
    ----------
    plan : CwtPlan
    names : tuple of str
        Names of the arguments, for errors.
    records : tuple of ndarray, shape (..., n)
        The signals, NaN where a sample is missing.
    transforms : dict of ndarray, shape (..., k, bins)
        Their `rfft` by FFT length, without gaps and in units of their deviations.
    """

    plan: CwtPlan
    names: tuple[str, ...]
    records: tuple[Floats, ...]
    transforms: Mapping[int, Complexes]

    @classmethod
    def of(
        cls,
        plan: CwtPlan,
        signals: Mapping[str, Floats],
        *,
        gaps: GapPolicy,
        workers: int,
        max_bytes: int,
    ) -> JointSignals:
        """Return `signals`, which have one shape.

        Raises
        ------
        ValueError
            If one is constant.
        """
        check_count("workers", workers)
        names, records = tuple(signals), tuple(signals.values())
        scaled = [
            record / unit for record, unit in zip(records, deviations(names, records), strict=True)
        ]
        transforms = plan.transforms(np.stack(scaled, axis=-2), gaps, workers, max_bytes)
        return cls(plan=plan, names=names, records=records, transforms=transforms)

    def spectra(self, k: tuple[int, ...], workers: int) -> tuple[Floats, Complexes]:
        """Return the smoothed power and cross spectra of batch member `k`; see `CwtPlan`."""
        some = {length: each[k] for length, each in self.transforms.items()}
        return self.plan.smoothed_spectra(some, workers)


#: Several signals or transforms, of whose smoothed spectra a coherence is made.
Joint: TypeAlias = JointTransforms | JointSignals


def joint_pwct(joint: Joint, *, gaps: GapPolicy, workers: int, max_bytes: int) -> WctResult:
    """Return the partial coherence of the first two signals given all others."""
    shape = checked_shape(joint, workers, max_bytes)
    r2, singular = np.empty(shape), np.empty(shape, np.bool_)
    smoothed = np.empty((2, *shape))
    for k in np.ndindex(shape[:-2]):
        r2[k], cross, singular[k] = partial_coherence(*joint.spectra(k, workers))
        smoothed[(0, *k)], smoothed[(1, *k)] = cross.real, cross.imag
    plan = joint.plan
    planes = [_finished(plan, r2), _finished(plan, smoothed)]
    mask = _mask(joint, planes, gaps) | plan.in_own_order(singular)
    left = planes[1]
    phase = np.arctan2(left[1], left[0])
    axes = plan.coi.copy(), plan.freqs.copy()
    return WctResult(planes[0], phase, *axes, np.zeros(1), smoothed=left, mask=mask, dt=plan.dt)


def joint_mwct(joint: Joint, *, gaps: GapPolicy, workers: int, max_bytes: int) -> MwctResult:
    """Return the multiple coherence of the first signal with all others."""
    shape = checked_shape(joint, workers, max_bytes)
    r2, singular = np.empty(shape), np.empty(shape, np.bool_)
    for k in np.ndindex(shape[:-2]):
        r2[k], singular[k] = multiple_coherence(*joint.spectra(k, workers))
    plan = joint.plan
    planes = [_finished(plan, r2)]
    mask = _mask(joint, planes, gaps) | plan.in_own_order(singular)
    return MwctResult(
        planes[0], plan.coi.copy(), plan.freqs.copy(), np.zeros(1), mask=mask, dt=plan.dt
    )


def deviations(names: Sequence[str], records: Sequence[Floats]) -> list[Floats]:
    """Return the deviation of each record, shape (..., 1); raise ValueError if one is constant."""
    for name, record in zip(names, records, strict=True):
        standardise(name, record)  # raises for a constant
    return [deviation(record) for record in records]


def checked_shape(joint: Joint, workers: int, max_bytes: int) -> tuple[int, ...]:
    """Return the shape of the spectra of each signal, once they are known to fit."""
    check_count("workers", workers)
    count, (*batch, n) = len(joint.records), joint.records[0].shape
    cells = len(joint.plan.scales) * n
    one = cells * (3 * count + 2 * len(pairs_of(count)))
    check_memory("coherence", (math.prod(batch) * cells * _KEPT_PLANES + one) * 8, max_bytes)
    return (*batch, len(joint.plan.scales), n)


def _finished(plan: CwtPlan, plane: Floats) -> Floats:
    """Return a plane of ascending scales in the order and precision of the plan."""
    return plan.in_own_order(plane).astype(plan.dtype, copy=False)


def _mask(joint: Joint, planes: Sequence[Floats], gaps: GapPolicy) -> Bools:
    """Return where values are masked, and set `planes` to 0 where a signal is flat."""
    missing = np.logical_or.reduce([np.isnan(record) for record in joint.records])
    mask = joint.plan.smoothed_mask(missing, gaps)
    flat = joint.plan.flat_coherence(*joint.records)
    if flat is not None:
        mask |= flat
        for plane in planes:
            plane[..., flat] = 0
    return mask


#: Defaults of the settings that transforms already have.
_DEFAULTS = {"dj": 1 / 12, "s0": -1, "J": -1, "wavelet": "morlet", "convention": "standard"}


def joint_transforms(
    arguments: Mapping[str, Any], settings: Mapping[str, Any]
) -> JointTransforms | None:
    """Return the arguments as transforms; None if none of them is a `CwtResult`.

    Parameters
    ----------
    arguments : dict
        Signals or transforms by name.
    settings : dict
        The caller's other arguments that decide on a transform, by name.

    Raises
    ------
    ValueError
        If some are transforms and others signals, transforms differ in their axis, or a setting is
        not that of the transforms.
    """
    transforms = {name: y for name, y in arguments.items() if isinstance(y, CwtResult)}
    if not transforms:
        return None
    if signals := sorted(arguments.keys() - transforms.keys()):
        raise ValueError(
            f"cannot combine {', '.join(transforms)}, which have been transformed, with "
            f"{', '.join(signals)}: transform all of them, or none"
        )
    joint = JointTransforms.of(transforms)
    plan = joint.plan
    own: dict[str, object] = {"dt": plan.dt, "dj": plan.dj, "convention": plan.convention}
    for name, value in settings.items():
        if value is None or (np.ndim(value) == 0 and value in (_DEFAULTS.get(name), own.get(name))):
            continue
        if name == "wavelet" and as_wavelet(value) == plan.wavelet:
            continue
        raise ValueError(
            f"cannot use {name}={value!r}: the transforms have been computed; leave it out"
        )
    return joint


def _facts(name: str, result: CwtResult) -> dict[str, object]:
    """Return what transforms must have in common, by the name of each fact."""
    origin = _origin(name, result)
    expected = (*origin.record.shape[:-1], len(result.freqs), origin.record.shape[-1])
    if result.coefs.shape != expected:
        raise ValueError(
            f"{name} has coefs of shape {result.coefs.shape}, but its signal and frequencies make "
            f"{expected}"
        )
    return {
        "dt": _interval(name, result),
        "a signal of shape": origin.record.shape,
        "wavelet": origin.wavelet,
        "convention": origin.convention,
        "freqs": result.freqs,
    }


def _origin(name: str, result: CwtResult) -> Origin:
    if result.origin is None:
        raise ValueError(f"{name} has no origin: give a result of cwt, or the signal itself")
    return result.origin


def _interval(name: str, result: CwtResult) -> float:
    if result.dt is None:
        raise ValueError(f"{name} has no dt: give a result of cwt, or the signal itself")
    return result.dt


def _shown(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"({value.size} from {value[0]:g} to {value[-1]:g})"
    return str(value) if isinstance(value, str) else repr(value)
