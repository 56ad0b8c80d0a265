"""The results of an analysis as arrays, with axes, units, markers and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pycwt_client import export_files
from pycwt_client.epochs import Epochs, cut_epochs
from pycwt_client.placed_markers import PlacedMarker

__all__ = ["ChannelSet", "Export", "Real"]

Real = npt.NDArray[np.floating[Any]]
ChannelSet = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Export:
    """Results of one analysis in one epoch.

    Arrays are (channel set, frequency, time), unless another shape is given.
    """

    stream: str
    epoch: str
    analysis: str
    channel_sets: tuple[ChannelSet, ...]
    #: (time,) sample positions from the start of the epoch.
    samples: npt.NDArray[np.int64]
    #: (time,) seconds from the start of the epoch, at the stream's nominal rate.
    times_s: Real
    #: (time,) nanoseconds UTC by the device's clock; None if the device sent no time stamps.
    times_ns: npt.NDArray[np.int64] | None
    #: (frequency,), descending.
    freqs_hz: Real
    #: (frequency,) wavelet scales, seconds.
    scales_s: Real
    #: Real or complex, depending on the quantity of the analysis; NaN where there is no result.
    values: npt.NDArray[np.inexact[Any]]
    #: Radians; None if the analysis has no phase.
    phase: Real | None
    #: True for values affected by missing data or an edge, or without a result.
    mask: npt.NDArray[np.bool_]
    #: (channel set, frequency) thresholds; None if the analysis has none.
    signif: Real | None
    #: Unit of the values of each channel set; empty if a channel has no unit.
    units: tuple[str, ...]
    #: Origin of the data and parameters of the computation, by name.
    provenance: Mapping[str, str | int | float]
    #: Markers of the epoch, in order of position.
    markers: tuple[PlacedMarker, ...] = ()
    #: Number of windows of the epoch that still wait for a worker; their values are missing.
    windows_waiting: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the channel sets, such as ``c3,c4``."""
        return tuple(map(",".join, self.channel_sets))

    @property
    def fs_hz(self) -> float:
        """Sampling rate of the stream, Hz."""
        return float(self.provenance["fs_hz"])

    @property
    def step_samples(self) -> int:
        """Interval of the columns, samples."""
        return int(self.provenance["step_samples"])

    def column_of(self, marker: PlacedMarker) -> int:
        """Return the column nearest to a marker, which may be outside of the export.

        If two columns are equally near, the later one is returned.
        """
        step = self.step_samples
        return (2 * (marker.sample - int(self.samples[0])) + step) // (2 * step)

    def epochs(self, text: str, *, before_s: float, after_s: float) -> Epochs:
        """Return the analysis around each marker with `text`.

        Parameters
        ----------
        text
            Text of the markers, or a shell pattern for it, such as ``Stimulus/*``.
        before_s, after_s
            Seconds before and after the marker.

        Raises
        ------
        NotFound
            No marker has this text.
        ValueError
            The interval is not finite, or contains no column.
        """
        return cut_epochs(self, text, before_s=before_s, after_s=after_s)

    def save_npz(self, path: str | Path) -> None:
        """Write a NumPy archive; its array ``provenance`` is JSON."""
        export_files.write_npz(self, Path(path))

    def save_csv(self, path: str | Path) -> None:
        """Write a table with one row per value; lines of provenance begin with ``#``."""
        export_files.write_csv(self, Path(path))

    def save_netcdf(self, path: str | Path) -> None:
        """Write a netCDF 3 file (64-bit offset) that follows the CF conventions.

        Raises
        ------
        ValueError
            The export is too large for the format.
        """
        export_files.write_netcdf(self, Path(path))

    def save_picture(self, path: str | Path) -> None:
        """Draw a panel for each channel set; the suffix of `path` selects the format.

        Raises
        ------
        ModuleNotFoundError
            matplotlib, in the extra ``plot``, is not installed.
        """
        export_files.write_picture(self, Path(path))
