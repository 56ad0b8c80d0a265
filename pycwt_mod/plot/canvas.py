"""What all pictures over time and frequency share: their options, and how these are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from matplotlib.colorbar import Colorbar
from numpy.typing import ArrayLike

from pycwt_mod.plot.frame import Frame
from pycwt_mod.plot.marks import contour
from pycwt_mod.plot.times import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

#: Perceptually uniform, and read alike by all forms of colour vision.
COLOUR_MAP = "cividis"


class Options(TypedDict, total=False):
    """What every picture may be given by name, and is documented in `plot_coherence`."""

    signif: ArrayLike | None
    coi_hz: ArrayLike | None
    mask: ArrayLike | None
    period_axis: bool
    time_unit: str
    colour_bar: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """`Options` with their defaults."""

    signif: ArrayLike | None = None
    coi_hz: ArrayLike | None = None
    mask: ArrayLike | None = None
    period_axis: bool = False
    time_unit: str = "s"
    colour_bar: bool = True

    def frame(self, times: ArrayLike, freqs: ArrayLike) -> Frame:
        """Return the frame of the picture."""
        return Frame.of(times, freqs, period_axis=self.period_axis, time_unit=self.time_unit)

    @property
    def level(self) -> Numbers | None:
        """`signif` as a column; None if not given."""
        return None if self.signif is None else np.asarray(self.signif, dtype=np.float64)[:, None]

    def draw(
        self, ax: Axes, frame: Frame, values: Numbers, ends: tuple[float, float], label: str
    ) -> QuadMesh:
        """Draw the colours between `ends`, the veil, and the bar that explains them."""
        mesh = ax.pcolormesh(
            frame.times, frame.rows, values,
            cmap=COLOUR_MAP, vmin=ends[0], vmax=ends[1], shading="nearest", rasterized=True,
        )  # fmt: skip
        frame.label(ax)
        frame.veil(ax, self.coi_hz, self.mask)
        if self.colour_bar:
            add_colour_bar(ax, mesh, label)
        return mesh

    def encircle(self, ax: Axes, frame: Frame, values: Numbers) -> None:
        """Frame what exceeds its level."""
        if self.level is not None:
            with np.errstate(divide="ignore", invalid="ignore"):  # a level may be 0, or NaN
                excess = values / self.level - 1
            contour(ax, frame, excess)


def add_colour_bar(ax: Axes, mesh: QuadMesh, label: str) -> Colorbar:
    """Add a slim colour bar to the right of `ax`."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError(f"{ax=} must belong to a figure")
    bar = figure.colorbar(mesh, ax=ax, pad=0.015, fraction=0.04, aspect=30)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return bar
