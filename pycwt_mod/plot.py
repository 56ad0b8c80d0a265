"""Pictures of coherence and power over time and frequency, on axes that the caller owns.

Matplotlib is optional (``pip install pycwt-mod[plot]``); nothing else in the library needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colorbar import Colorbar
from matplotlib.colors import to_rgba
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

#: Perceptually uniform, and read alike by all forms of colour vision.
COLOUR_MAP = "cividis"
#: Arrows along the longer side of a picture.
_ARROWS_TIME, _ARROWS_FREQ = 32, 16
#: Phase is shown where coherence is at least this, or significant.
_ARROW_COHERENCE = 0.5
_INK = "#1b1b1b"
_VEIL = to_rgba("white", 0.45)
_HATCH = to_rgba(_INK, 0.35)


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
    colour_bar: bool = True,
) -> QuadMesh:
    """Draw coherence over time and frequency.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    times_s : array_like, shape (n,)
    freqs_hz : array_like, shape (k,)
        In either order.
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
    t, f, r2 = _checked(times_s, freqs_hz, coherence, "coherence")
    mesh = ax.pcolormesh(
        t, f, r2, cmap=COLOUR_MAP, vmin=0, vmax=1, shading="nearest", rasterized=True
    )
    _decorate(ax, t, f, coi_hz, mask)
    level = None if signif is None else np.asarray(signif, dtype=np.float64)[:, None]
    if level is not None:
        _contour(ax, t, f, r2 - level)
    if phase is not None:
        shown = r2 >= (_ARROW_COHERENCE if level is None else np.minimum(level, _ARROW_COHERENCE))
        _arrows(ax, t, f, np.asarray(phase), shown)
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
    colour_bar: bool = True,
) -> QuadMesh:
    """Draw wavelet power over time and frequency, in decibels below its maximum.

    Parameters
    ----------
    ax, times_s, freqs_hz, signif, coi_hz, mask, colour_bar
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
    t, f, p = _checked(times_s, freqs_hz, power, "power")
    top = float(np.nanmax(p)) or 1.0
    decibel = 10 * np.log10(np.maximum(p / top, 1e-12))
    mesh = ax.pcolormesh(
        t, f, decibel, cmap=COLOUR_MAP, vmin=-40, vmax=0, shading="nearest", rasterized=True
    )
    _decorate(ax, t, f, coi_hz, mask)
    if signif is not None:
        _contour(ax, t, f, p / np.asarray(signif, dtype=np.float64)[:, None] - 1)
    if colour_bar:
        reference = f"{top:.3g} {unit}²" if unit else f"{top:.3g}"
        add_colour_bar(ax, mesh, f"Power (dB re {reference})")
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


def _checked(
    times_s: ArrayLike, freqs_hz: ArrayLike, values: ArrayLike, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    t, f = np.asarray(times_s, dtype=np.float64), np.asarray(freqs_hz, dtype=np.float64)
    v = np.asarray(values, dtype=np.float64)
    if v.shape != (f.size, t.size):
        raise ValueError(f"{name} has shape {v.shape}, but must be {(f.size, t.size)}")
    return t, f, v


def _decorate(
    ax: Axes,
    t: NDArray[np.float64],
    f: NDArray[np.float64],
    coi_hz: ArrayLike | None,
    mask: ArrayLike | None,
) -> None:
    ax.set_yscale("log")
    ax.set_ylim(f.min(), f.max())
    ax.set_xlim(t[0], t[-1])
    ax.set_xlabel("Time (s)")
    ax.set_ylabel("Frequency (Hz)")
    # Less than a decade would be left with one label, or none.
    ax.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    style: dict[str, Any] = {
        "facecolor": _VEIL,
        "edgecolor": _HATCH,
        "linewidth": 0,
        "hatch": "///",
    }
    if coi_hz is not None:
        edge = np.clip(np.asarray(coi_hz, dtype=np.float64), f.min(), f.max())
        ax.fill_between(t, np.full(t.size, f.min()), edge, **style)
        ax.plot(t, edge, color=_INK, linewidth=0.8)
    if mask is not None and np.any(mask):
        hatched = np.asarray(mask, dtype=np.float64)
        veil = ax.contourf(t, f, hatched, levels=[0.5, 1.5], colors=[_VEIL], hatches=["xxx"])
        veil.set(edgecolor=_HATCH, linewidth=0)


def _contour(
    ax: Axes, t: NDArray[np.float64], f: NDArray[np.float64], excess: NDArray[np.float64]
) -> None:
    finite = np.where(np.isfinite(excess), excess, -1.0)
    if finite.min() < 0 < finite.max():
        ax.contour(t, f, finite, levels=[0.0], colors=["white"], linewidths=2.2)
        ax.contour(t, f, finite, levels=[0.0], colors=[_INK], linewidths=1.1)


def _arrows(
    ax: Axes,
    t: NDArray[np.float64],
    f: NDArray[np.float64],
    phase: NDArray[Any],
    shown: NDArray[np.bool_],
) -> None:
    columns = slice(max(1, t.size // _ARROWS_TIME) // 2, None, max(1, t.size // _ARROWS_TIME))
    rows = slice(max(1, f.size // _ARROWS_FREQ) // 2, None, max(1, f.size // _ARROWS_FREQ))
    angle = np.where(shown, phase, np.nan)[rows, columns]
    ax.quiver(
        t[columns],
        f[rows],
        np.cos(angle),
        -np.sin(angle),
        units="height",
        scale=30,
        width=0.0042,
        headwidth=3.6,
        headlength=3.8,
        headaxislength=3.4,
        pivot="middle",
        color=_INK,
        edgecolor="white",
        linewidth=0.4,
        zorder=3,
    )
