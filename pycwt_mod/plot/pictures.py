"""Scalogram, cross-wavelet power and coherence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.plot.canvas import Canvas, Frame, Options, arrows
from pycwt_mod.plot.times import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

#: Phase is shown where coherence is at least this, or significant.
_ARROW_COHERENCE = 0.5
#: Range of the colours of power.
_DECIBELS = 40


def plot_coherence(
    ax: Axes,
    times_s: ArrayLike,
    freqs_hz: ArrayLike,
    coherence: ArrayLike,
    *,
    phase: ArrayLike | None = None,
    **options: Unpack[Options],
) -> QuadMesh:
    """Draw coherence over time and frequency.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    times_s : array_like, shape (n,)
        In seconds, or in `time_unit`; or dates (datetime64, DatetimeIndex, PeriodIndex, datetime
        or date objects), which get a date axis.
    freqs_hz : array_like, shape (k,)
        In either order, in Hz, or in 1/`time_unit`.
    coherence : array_like, shape (k, n)
        R², from 0 to 1.
    phase : array_like, shape (k, n), radians, optional
        Drawn as arrows where R² is at least 0.5, or significant. As in Grinsted's toolbox an
        arrow to the right is in phase, to the left anti-phase, and straight down means that
        the first signal leads by 90°.
    signif : array_like, shape (k,), optional
        Level per frequency; what exceeds it is framed.
    coi_hz : array_like, shape (n,), optional
        Lowest frequency free of edge effects; below it the picture is hatched.
    mask : array_like, shape (k, n), optional
        True or 1 where values aren't valid; hatched as well.
    period_axis : bool
        Periods downwards in octaves, as in the papers, instead of frequencies upwards.
    time_unit : str
        Unit of periods, and of times that are not dates, for the labels.
    colour_bar : bool

    Returns
    -------
    matplotlib.collections.QuadMesh

    Raises
    ------
    ValueError
        If the shapes don't match.

    References
    ----------
    Grinsted et al. (2004), figure 6, doi:10.5194/npg-11-561-2004
    """
    canvas = Canvas(**options)
    frame = canvas.frame(times_s, freqs_hz)
    r2 = frame.checked(coherence, "coherence").astype(np.float64)
    mesh = canvas.draw(ax, frame, r2, (0, 1), "Coherence R²")
    canvas.encircle(ax, frame, r2)
    if phase is not None:
        level = canvas.level
        shown = r2 >= (_ARROW_COHERENCE if level is None else np.fmin(level, _ARROW_COHERENCE))
        arrows(ax, frame, phase, shown)
    return mesh


def plot_scalogram(
    ax: Axes,
    times_s: ArrayLike,
    freqs_hz: ArrayLike,
    power: ArrayLike,
    *,
    unit: str = "",
    **options: Unpack[Options],
) -> QuadMesh:
    """Draw wavelet power over time and frequency, in decibels below its maximum.

    Parameters
    ----------
    ax, times_s, freqs_hz, signif, coi_hz, mask, period_axis, time_unit, colour_bar
        As in `plot_coherence`; `signif` in the unit of `power`.
    power : array_like, shape (k, n)
        |W|², at least 0; the colours span 40 dB.
    unit : str
        Unit of the signal, for the label.

    Returns
    -------
    matplotlib.collections.QuadMesh

    Raises
    ------
    ValueError
        If the shapes don't match.
    """
    canvas = Canvas(**options)
    frame = canvas.frame(times_s, freqs_hz)
    p = frame.checked(power, "power").astype(np.float64)
    return _power(ax, canvas, frame, p, f"{unit}²" if unit else "")


def plot_cross(
    ax: Axes,
    times_s: ArrayLike,
    freqs_hz: ArrayLike,
    cross: ArrayLike,
    *,
    unit: str = "",
    **options: Unpack[Options],
) -> QuadMesh:
    """Draw cross-wavelet power over time and frequency, and the phase where it is significant.

    Parameters
    ----------
    ax, times_s, freqs_hz, signif, coi_hz, mask, period_axis, time_unit, colour_bar
        As in `plot_coherence`; `signif` in the unit of |`cross`|. Without it arrows are drawn
        everywhere.
    cross : array_like, shape (k, n), complex
        W1 W2*, from `xwt`.
    unit : str
        Product of the signals' units, for the label.

    Returns
    -------
    matplotlib.collections.QuadMesh

    Raises
    ------
    ValueError
        If the shapes don't match.

    References
    ----------
    Grinsted et al. (2004), figure 5, doi:10.5194/npg-11-561-2004
    """
    canvas = Canvas(**options)
    frame = canvas.frame(times_s, freqs_hz)
    values = frame.checked(cross, "cross")
    p = np.abs(values).astype(np.float64)
    mesh = _power(ax, canvas, frame, p, unit)
    level = 0.0 if canvas.level is None else canvas.level
    arrows(ax, frame, np.angle(values), p >= level)
    return mesh


def _power(ax: Axes, canvas: Canvas, frame: Frame, power: Numbers, unit: str) -> QuadMesh:
    top = float(np.nanmax(power)) or 1.0
    decibel = 10 * np.log10(np.maximum(power / top, 1e-12))
    label = f"Power (dB re {top:.3g}{f' {unit}' if unit else ''})"
    mesh = canvas.draw(ax, frame, decibel, (-_DECIBELS, 0), label)
    canvas.encircle(ax, frame, power)
    return mesh
