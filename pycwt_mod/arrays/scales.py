"""Axes of scales and frequencies, and the weights of sums over them: TC98's δj for any scales.

A sum over scales is an integral over log2 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pycwt_mod.arrays.checks import (
    Floats,
    NyquistWarning,
    as_number,
    check_positive,
    warn_caller,
)
from pycwt_mod.arrays.foreign import real_array

#: Steps may differ from a multiple of the spacing by this part of it (scales stored as float32).
_STEP_TOL = 1e-3
#: A given `dj` may differ from the spacing of the scales by this part, such as 0.083 from 1/12.
_DJ_TOL = 0.01


def octave_widths(scales: Floats) -> NDArray[np.float64]:
    """Return the width in octaves of the interval that each scale stands for.

    The intervals meet halfway between neighbouring scales in log2 s, and extend as far outwards
    from the first and the last. So every width of a geometric series is its spacing.

    Parameters
    ----------
    scales : ndarray, shape (scales,)
        At least two different ones, in any order. Equal scales share an interval.

    Examples
    --------
    >>> octave_widths(np.array([8.0, 2.0, 1.0]))
    array([2. , 1.5, 1. ])
    """
    places, inverse, counts = np.unique(np.log2(scales), return_inverse=True, return_counts=True)
    return np.asarray((np.abs(np.gradient(places)) / counts)[inverse])


def spacing_of(scales: Floats) -> float | None:
    """Return the spacing in octaves of a geometric series; None for other scales.

    A series with rows left out, such as two bands of a transform, counts as one, with the
    spacing of the rows that are neighbours. The order doesn't matter.

    Examples
    --------
    >>> spacing_of(np.array([4.0, 2.0, 1.0])), spacing_of(np.array([1.0, 2.0, 3.0]))
    (1.0, None)
    """
    steps = np.diff(np.unique(np.log2(scales)))
    if not steps.size:
        return None
    multiples = np.rint(steps / steps.min())
    spacing = float(steps.sum() / multiples.sum())
    regular = np.abs(steps - multiples * spacing) < _STEP_TOL * spacing
    return spacing if regular.all() else None


def within_band(name: str, ends: object, scales: Floats) -> NDArray[np.bool_]:
    """Return which scales lie in a band, both ends included.

    Parameters
    ----------
    name : str
        Name of the argument `ends`, for error messages.
    ends : (float, float)
        Smallest and largest scale.
    scales : ndarray, shape (scales,)

    Raises
    ------
    TypeError
        If `ends` are not two numbers.
    ValueError
        If none of the scales lies between them.
    """
    if not isinstance(ends, Sequence | np.ndarray) or len(ends) != 2:
        raise TypeError(f"cannot use {name}={ends!r}: give the smallest and the largest scale")
    low, high = (as_number(name, end) for end in ends)
    chosen = (scales >= low) & (scales <= high)
    if not chosen.any():
        extent = f"{scales.min():g} to {scales.max():g}"
        raise ValueError(f"{name}={ends!r} holds none of the scales, {extent}")
    return np.asarray(chosen)


def octave_weights(name: str, scales: Floats, dj: float | None) -> NDArray[np.float64]:
    """Return δj of every scale, for a sum over scales.

    Parameters
    ----------
    name : str
        Name of the argument `scales`, for error messages.
    scales : ndarray, shape (scales,)
    dj : float or None
        The spacing, if the caller gave it.

    Returns
    -------
    ndarray, shape (scales,)
        `dj` or the spacing of a geometric series; `octave_widths` of other scales.

    Raises
    ------
    ValueError
        If `dj` is not the spacing of the scales, or is needed for a single one.
    """
    spacing = spacing_of(scales)
    if dj is None:
        if np.unique(scales).size < 2:
            raise ValueError(f"cannot find dj from {name}, which has one scale; give dj")
        return np.full(scales.size, spacing) if spacing else octave_widths(scales)
    dj = check_positive("dj", dj)
    if scales.size > 1 and (spacing is None or abs(dj / spacing - 1) > _DJ_TOL):
        steps = np.diff(np.unique(np.log2(scales)))
        actual = (
            f"{spacing:g} octaves apart"
            if spacing
            else f"{steps.min(initial=np.inf):.3g} to {steps.max(initial=0):.3g} octaves apart"
        )
        raise ValueError(
            f"dj={dj:g} contradicts {name}: the scales are {actual}; give the dj of the transform, "
            "or None for the spacing of the scales"
        )
    return np.full(scales.size, dj)


def positive_axis(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return scales or frequencies as float64 (count,).

    Raises
    ------
    ValueError
        If they are not finite numbers > 0, or have more than one axis.
    """
    axis = np.atleast_1d(real_array(name, values)).astype(np.float64)
    if axis.ndim != 1 or not axis.size or not (np.isfinite(axis) & (axis > 0)).all():
        raise ValueError(f"{name}={values!r} must be a list of finite numbers > 0")
    return axis


def warn_of_fast_rows(freqs: Floats, dt: float, argument: str) -> None:
    """Warn if some `freqs` are above the Nyquist frequency; `argument` chose them."""
    nyquist = 1 / (2 * dt)
    count = int(np.count_nonzero(freqs > nyquist * (1 + 1e-9)))
    if count:
        warn_caller(
            f"{argument}: {count} of {freqs.size} frequencies exceed the Nyquist frequency, "
            f"{nyquist:g} at dt={dt:g}; leave them out unless the result is for icwt",
            NyquistWarning,
        )


def warn_of_small_scales(freqs: Floats, s0: float, dt: float) -> None:
    """Warn if `s0` is less than the sampling interval and some `freqs` are above Nyquist."""
    if s0 < dt:
        warn_of_fast_rows(freqs, dt, f"s0={s0:g}")
