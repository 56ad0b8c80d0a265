"""Which neighbouring scales are summed for coherence, and with which weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pycwt_mod.arrays import Convention, Floats, spacing_of
from pycwt_mod.smoothing import ScaleBoxcar


class ScaleWindow(Protocol):
    """The smoothing over scales of coherence."""

    def around(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Return the first row of the sum for `row`, and the weights from there on.

        Rows beyond the ends of the axis are allowed; they count as zero.
        """


@dataclass(frozen=True, eq=False)
class OwnScaleWindow:
    """A boxcar of δj0 octaves over scales that are not a geometric series.

    Every row counts with the part of its interval in log2 s that lies within the boxcar. The
    intervals meet halfway between neighbours; beyond the outermost ones the boxcar has nothing.

    Attributes
    ----------
    first : tuple of int
        First neighbour of every row.
    weights : tuple of tuple of float
    """

    first: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, scales: Floats, deltaj0: float) -> OwnScaleWindow:
        """Return the boxcar for `scales`, which ascend."""
        places = np.log2(scales)
        between = (places[1:] + places[:-1]) / 2
        ends = 2 * places[[0, -1]] - between[[0, -1]]
        edges = np.concatenate([ends[:1], between, ends[1:]])
        first, weights = [], []
        for place in places:
            inside = np.clip(edges, place - deltaj0 / 2, place + deltaj0 / 2)
            parts = np.diff(inside) / deltaj0
            if not parts.any():  # equal scales alone
                parts = (places == place) / places.size
            used = np.flatnonzero(parts)
            first.append(int(used[0]))
            weights.append(tuple(parts[used[0] : used[-1] + 1].tolist()))
        return cls(tuple(first), tuple(weights))

    def around(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Return the first row of the sum for `row`, and the weights from there on."""
        return self.first[row], self.weights[row]


def scale_window(
    scales: Floats, deltaj0: float, dj: float | None, convention: Convention
) -> ScaleWindow:
    """Return the smoothing over `scales`, which ascend.

    Parameters
    ----------
    scales : ndarray, shape (scales,)
    deltaj0 : float
        Width of the boxcar in octaves.
    dj : float or None
        Their spacing, or None for frequencies of the caller's own. If these are a geometric
        series they have the boxcar of the convention, as with `dj`.

    Raises
    ------
    ValueError
        If the convention is pycwt's and the scales are not a geometric series.
    """
    spacing = even_spacing(scales) if dj is None else dj
    if spacing is not None:
        return ScaleBoxcar.of(deltaj0, spacing, convention)
    if convention == "pycwt":
        raise ValueError(
            "freqs must be a geometric series for coherence with convention='pycwt', which has no "
            "other smoothing over scales; use convention='standard'"
        )
    return OwnScaleWindow.of(scales, deltaj0)


def even_spacing(scales: Floats) -> float | None:
    """Return the spacing in octaves of a geometric series without gaps; None for other scales.

    A single scale counts as one of octaves.
    """
    if scales.size == 1:
        return 1.0
    spacing = spacing_of(scales)
    if spacing is None or np.diff(np.sort(np.log2(scales))).max() > 1.5 * spacing:
        return None
    return spacing if np.unique(scales).size == scales.size else None
