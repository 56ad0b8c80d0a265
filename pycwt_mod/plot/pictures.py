"""Scalogram, cross-wavelet power and coherence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colorbar import Colorbar
from numpy.typing import ArrayLike

from pycwt_mod.plot.frame import Frame, Numbers
from pycwt_mod.plot.marks import arrows, contour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

#: Perceptually uniform, and read alike by all forms of colour vision.
COLOUR_MAP = "cividis"
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
    signif: ArrayLike | None = None,
    coi_hz: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    period_axis: bool = False,
    time_unit: str = "s",
    colour_bar: bool = True,
) -> QuadMesh:
    """Draw coherence over time and frequency.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    times_s : array_like, shape (n,)
        In seconds, or in `time_unit`.
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
        For the labels.
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
    frame = Frame.of(times_s, freqs_hz, period_axis=period_axis, time_unit=time_unit)
    r2 = frame.checked(coherence, "coherence").astype(np.float64)
    mesh = _mesh(ax, frame, r2, 0, 1)
    frame.veil(ax, coi_hz, mask)
    level = None if signif is None else np.asarray(signif, dtype=np.float64)[:, None]
    if level is not None:
        contour(ax, frame, r2 - level)
    if phase is not None:
        shown = r2 >= (_ARROW_COHERENCE if level is None else np.fmin(level, _ARROW_COHERENCE))
        arrows(ax, frame, phase, shown)
    if colour_bar:
        add_colour_bar(ax, mesh, "Coherence R²")
    return mesh


def plot_scalogram(
    ax: Axes,
    times_s: ArrayLike,
    freqs_hz: ArrayLike,
    power: ArrayLike,
    *,
    signif: ArrayLike | None = None,
    coi_hz: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    unit: str = "",
    period_axis: bool = False,
    time_unit: str = "s",
    colour_bar: bool = True,
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
    frame = Frame.of(times_s, freqs_hz, period_axis=period_axis, time_unit=time_unit)
    p = frame.checked(power, "power").astype(np.float64)
    return _power(ax, frame, p, signif, coi_hz, mask, f"{unit}²" if unit else "", colour_bar)


def plot_cross(
    ax: Axes,
    times_s: ArrayLike,
    freqs_hz: ArrayLike,
    cross: ArrayLike,
    *,
    signif: ArrayLike | None = None,
    coi_hz: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    unit: str = "",
    period_axis: bool = False,
    time_unit: str = "s",
    colour_bar: bool = True,
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
    frame = Frame.of(times_s, freqs_hz, period_axis=period_axis, time_unit=time_unit)
    values = frame.checked(cross, "cross")
    p = np.abs(values).astype(np.float64)
    mesh = _power(ax, frame, p, signif, coi_hz, mask, unit, colour_bar)
    level = 0.0 if signif is None else np.asarray(signif, dtype=np.float64)[:, None]
    arrows(ax, frame, np.angle(values), p >= level)
    return mesh


def add_colour_bar(ax: Axes, mesh: QuadMesh, label: str) -> Colorbar:
    """Add a slim colour bar to the right of `ax`."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError(f"{ax=} must belong to a figure")
    bar = figure.colorbar(mesh, ax=ax, pad=0.015, fraction=0.04, aspect=30)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return bar


def _power(
    ax: Axes,
    frame: Frame,
    power: Numbers,
    signif: ArrayLike | None,
    coi_hz: ArrayLike | None,
    mask: ArrayLike | None,
    unit: str,
    colour_bar: bool,
) -> QuadMesh:
    top = float(np.nanmax(power)) or 1.0
    decibel = 10 * np.log10(np.maximum(power / top, 1e-12))
    mesh = _mesh(ax, frame, decibel, -_DECIBELS, 0)
    frame.veil(ax, coi_hz, mask)
    if signif is not None:
        contour(ax, frame, power / np.asarray(signif, dtype=np.float64)[:, None] - 1)
    if colour_bar:
        add_colour_bar(ax, mesh, f"Power (dB re {top:.3g}{f' {unit}' if unit else ''})")
    return mesh


def _mesh(ax: Axes, frame: Frame, values: Numbers, low: float, high: float) -> QuadMesh:
    mesh = ax.pcolormesh(
        frame.times, frame.rows, values,
        cmap=COLOUR_MAP, vmin=low, vmax=high, shading="nearest", rasterized=True,
    )  # fmt: skip
    frame.label(ax)
    return mesh
