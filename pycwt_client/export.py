"""A whole analysis of a stream as arrays, with their axes, units, markers and provenance."""

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
    """One analysis of one epoch; arrays are (channel set, frequency, time) unless they say else."""

    stream: str
    epoch: str
    analysis: str
    channel_sets: tuple[ChannelSet, ...]
    #: (time,) sample positions from the start of the epoch.
    samples: npt.NDArray[np.int64]
    #: (time,) the same in seconds, at the stream's nominal rate.
    times_s: Real
    #: (time,) nanoseconds UTC by the device's clock; None where the device sent no times.
    times_ns: npt.NDArray[np.int64] | None
    #: (frequency,), descending.
    freqs_hz: Real
    #: (frequency,)
    scales_s: Real
    #: Real or complex as the analysis's quantity is; NaN where there is no result.
    values: npt.NDArray[np.inexact[Any]]
    #: Radians; None if the results have none.
    phase: Real | None
    #: True where missing data or an edge touches the value, or there is no result.
    mask: npt.NDArray[np.bool_]
    #: (channel set, frequency); None if the results have none.
    signif: Real | None
    #: Of the values of each channel set; empty where a channel has none.
    units: tuple[str, ...]
    #: Where the numbers come from and how they were computed, by name.
    provenance: Mapping[str, str | int | float]
    #: Of the epoch, in the order of their positions.
    markers: tuple[PlacedMarker, ...] = ()
    #: Windows of the epoch that wait for a worker: values that are still to come.
    windows_waiting: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The channel sets as text, such as ``c3,c4``."""
        return tuple(map(",".join, self.channel_sets))

    @property
    def fs_hz(self) -> float:
        """Samples per second of the stream."""
        return float(self.provenance["fs_hz"])

    @property
    def step_samples(self) -> int:
        """Samples between two columns."""
        return int(self.provenance["step_samples"])

    def column_of(self, marker: PlacedMarker) -> int:
        """Return the column nearest to a marker, which may lie before the first or after the last.

        Of two that are as near, the later one.
        """
        step = self.step_samples
        return (2 * (marker.sample - int(self.samples[0])) + step) // (2 * step)

    def epochs(self, text: str, *, before_s: float, after_s: float) -> Epochs:
        """Return the analysis around each marker with `text`.

        Parameters
        ----------
        text
            What the marker says, or a pattern of the shell for it, such as ``Stimulus/*``.
        before_s, after_s
            Seconds before and after the marker.

        Raises
        ------
        NotFound
            No marker says that.
        ValueError
            The stretch is not finite, or has no column.
        """
        return cut_epochs(self, text, before_s=before_s, after_s=after_s)

    def save_npz(self, path: str | Path) -> None:
        """Write a NumPy archive; its array ``provenance`` is JSON."""
        export_files.write_npz(self, Path(path))

    def save_csv(self, path: str | Path) -> None:
        """Write a table with one row per value; ``#`` begins the lines of its provenance."""
        export_files.write_csv(self, Path(path))

    def save_netcdf(self, path: str | Path) -> None:
        """Write a netCDF file of version 3 (64-bit offset), by the CF conventions.

        Raises
        ------
        ValueError
            It is too large for the format.
        """
        export_files.write_netcdf(self, Path(path))

    def save_picture(self, path: str | Path) -> None:
        """Draw a panel for each channel set; the ending of `path` is the format.

        Raises
        ------
        ModuleNotFoundError
            matplotlib, the extra ``plot``, is not installed.
        """
        export_files.write_picture(self, Path(path))
