"""Panels next to and below a scalogram: its averages over time and over scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.plot.canvas import INK, Frame
from pycwt_mod.plot.times import TimeAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES = (4, 2)
#: The width of the picture in units of the largest value.
_ROOM = 1.5


def plot_global_spectrum(
    ax: Axes,
    freqs_hz: ArrayLike,
    spectrum: ArrayLike,
    *,
    signif: ArrayLike | None = None,
    unit: str = "",
    period_axis: bool = False,
    time_unit: str = "s",
) -> None:
    """Draw power averaged over time, upright, on the vertical axis of the scalogram next to it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Best made with ``sharey`` of the scalogram's.
    freqs_hz, period_axis, time_unit
        As given to `plot_scalogram`.
    spectrum : array_like, shape (k,)
        From `global_spectrum`.
    signif : array_like, shape (k,), optional
        Its threshold, drawn dashed.
    unit : str
        Unit of the signal, for the label.

    Raises
    ------
    ValueError
        If the shapes don't match.

    References
    ----------
    Torrence & Compo (1998), figure 6, doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2
    """
    frame = Frame.of([0.0, 1.0], freqs_hz, period_axis=period_axis, time_unit=time_unit)
    power = np.asarray(spectrum, dtype=np.float64)
    if power.shape != frame.freqs.shape:
        raise ValueError(f"spectrum has shape {power.shape}, but must be {frame.freqs.shape}")
    ax.plot(power, frame.rows, color=INK, linewidth=1.4)
    if signif is not None:
        ax.plot(np.asarray(signif), frame.rows, color=INK, linewidth=0.9, dashes=_DASHES)
    frame.label_rows(ax)
    ax.set_ylabel("")
    ax.tick_params(labelleft=False)
    # The threshold of long periods may exceed any spectrum; the picture does not extend to it.
    ax.set_xlim(0, _ROOM * float(np.nanmax(power)))
    ax.set_xlabel(f"Mean power ({unit}²)" if unit else "Mean power")


def plot_scale_average(
    ax: Axes,
    times_s: ArrayLike,
    variance: ArrayLike,
    *,
    signif: float | None = None,
    unit: str = "",
    time_unit: str = "s",
) -> None:
    """Draw the variance within a band of scales over time.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Best made with ``sharex`` of the scalogram's.
    times_s : array_like, shape (n,)
        As in `plot_coherence`.
    variance : array_like, shape (n,)
        From `scale_average`.
    signif : float, optional
        Its threshold, drawn dashed.
    unit : str
        Unit of the signal, for the label.
    time_unit : str

    Raises
    ------
    ValueError
        If the shapes don't match.

    References
    ----------
    Torrence & Compo (1998), figure 7.
    """
    axis, v = TimeAxis.of(times_s, time_unit), np.asarray(variance, dtype=np.float64)
    if v.shape != axis.values.shape:
        raise ValueError(f"variance has shape {v.shape}, but must be {axis.values.shape}")
    ax.plot(axis.values, v, color=INK, linewidth=1.2)
    if signif is not None:
        ax.axhline(signif, color=INK, linewidth=0.9, dashes=_DASHES)
    axis.label(ax, time_unit)
    ax.set_ylim(bottom=0)
    ax.set_ylabel(f"Variance ({unit}²)" if unit else "Variance")
