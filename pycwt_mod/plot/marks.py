"""What is drawn over the colours: the frame of significance, and arrows for the phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import Bools
from pycwt_mod.plot.frame import INK, Frame
from pycwt_mod.plot.times import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Arrows along the longer and the shorter side of a picture.
_ARROWS_TIME, _ARROWS_FREQ = 32, 16


def contour(ax: Axes, frame: Frame, excess: Numbers) -> None:
    """Frame what is above zero, with a rim that shows on every colour."""
    finite = np.where(np.isfinite(excess), excess, -1.0)
    if finite.min() < 0 < finite.max():
        for colour, width in (("white", 2.2), (INK, 1.1)):
            ax.contour(
                frame.times, frame.rows, finite, levels=[0.0], colors=[colour], linewidths=width
            )


def arrows(ax: Axes, frame: Frame, phase: ArrayLike, shown: Bools) -> None:
    """Draw the phase where `shown`: to the right in phase, down where the first leads."""
    across = max(1, frame.times.size // _ARROWS_TIME)
    along = max(1, frame.freqs.size // _ARROWS_FREQ)
    columns, rows = slice(across // 2, None, across), slice(along // 2, None, along)
    angle = np.where(shown, np.asarray(phase), np.nan)[rows, columns]
    ax.quiver(
        frame.times[columns],
        frame.rows[rows],
        np.cos(angle),
        -np.sin(angle),
        units="height",
        scale=30,
        width=0.0042,
        headwidth=3.6,
        headlength=3.8,
        headaxislength=3.4,
        pivot="middle",
        color=INK,
        edgecolor="white",
        linewidth=0.4,
        zorder=3,
    )
