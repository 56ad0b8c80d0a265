"""What all pictures over time and frequency share: axes, colours, contours, arrows of the phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from matplotlib.colorbar import Colorbar
from matplotlib.colors import to_rgba
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from pycwt_mod.arrays import Bools, coefficient_array
from pycwt_mod.plot.times import Numbers, TimeAxis, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

INK = "#1b1b1b"
_VEIL = to_rgba("white", 0.45)
_HATCH = to_rgba(INK, 0.35)


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Where values lie in a picture.

    Attributes
    ----------
    time_axis : TimeAxis
    freqs : ndarray, shape (k,)
    period_axis : bool
        Periods downwards in octaves, as in the papers; otherwise frequencies upwards.
    time_unit : str
        Unit of `times` unless they are dates, and of periods; that of `freqs` is its inverse.
    """

    time_axis: TimeAxis
    freqs: Numbers
    period_axis: bool
    time_unit: str

    @classmethod
    def of(cls, times: ArrayLike, freqs: ArrayLike, *, period_axis: bool, time_unit: str) -> Frame:
        """Return the frame of a picture."""
        return cls(
            time_axis=TimeAxis.of(times, time_unit),
            freqs=np.asarray(freqs, dtype=np.float64),
            period_axis=period_axis,
            time_unit=time_unit,
        )

    @property
    def times(self) -> Numbers:
        """Where the times lie on the horizontal axis, shape (n,)."""
        return self.time_axis.values

    @property
    def rows(self) -> Numbers:
        """Where the frequencies lie on the vertical axis."""
        return self.height(self.freqs)

    def height(self, freqs: Numbers) -> Numbers:
        """Return where `freqs` lie on the vertical axis."""
        return 1 / freqs if self.period_axis else freqs

    def checked(self, values: ArrayLike, name: str) -> Numbers:
        """Return `values` as an array, NaN where masked; raise ValueError unless (k, n)."""
        array = coefficient_array(name, values)
        shape = (self.freqs.size, self.times.size)
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, but must be {shape}")
        return array

    def label(self, ax: Axes) -> None:
        """Scale, limit and name both axes."""
        self.label_rows(ax)
        self.time_axis.label(ax, self.time_unit)

    def label_rows(self, ax: Axes) -> None:
        """Scale, limit and name the vertical axis."""
        ends = self.height(np.array([self.freqs.min(), self.freqs.max()]))
        if self.period_axis:
            ax.set_yscale("log", base=2)
            ax.yaxis.set_major_locator(LogLocator(base=2))
            ax.set_ylabel(with_unit("Period", self.time_unit))
        else:
            ax.set_yscale("log")
            # Less than a decade would be left with one label, or none.
            ax.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
            ax.set_ylabel("Frequency (Hz)" if self.time_unit == "s" else self._frequency_label())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(float(ends[0]), float(ends[1]))

    def _frequency_label(self) -> str:
        return with_unit("Frequency", f"1/{self.time_unit}" if self.time_unit else "")

    def veil(self, ax: Axes, coi_hz: ArrayLike | None, mask: ArrayLike | None) -> None:
        """Hatch the cone of influence and the masked values."""
        style: dict[str, Any] = {
            "facecolor": _VEIL,
            "edgecolor": _HATCH,
            "linewidth": 0,
            "hatch": "///",
        }
        low, high = self.freqs.min(), self.freqs.max()
        if coi_hz is not None:
            edge = self.height(np.clip(np.asarray(coi_hz, dtype=np.float64), low, high))
            bottom = np.full(self.times.size, float(self.height(np.array([low]))[0]))
            ax.fill_between(self.times, bottom, edge, **style)
            ax.plot(self.times, edge, color=INK, linewidth=0.8)
        if mask is not None and np.any(mask):
            hatched = np.asarray(mask, dtype=np.float64)
            area = ax.contourf(
                self.times, self.rows, hatched, levels=[0.5, 1.5], colors=[_VEIL], hatches=["xxx"]
            )
            area.set(edgecolor=_HATCH, linewidth=0)


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
        """Frame the values that exceed the threshold."""
        if self.level is not None:
            with np.errstate(divide="ignore", invalid="ignore"):  # a threshold may be 0, or NaN
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


#: Arrows along the longer and the shorter side of a picture.
_ARROWS_TIME, _ARROWS_FREQ = 32, 16


def contour(ax: Axes, frame: Frame, excess: Numbers) -> None:
    """Frame the positive values, with a rim that is visible on every colour."""
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
