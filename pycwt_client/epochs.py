"""Epochs of an analysis around markers, such as the repetitions of a stimulus."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cwt_schemas.errors import NotFound
from cwt_schemas.message import listed
from pycwt_client import export_files
from pycwt_client.placed_markers import PlacedMarker

if TYPE_CHECKING:
    from pycwt_client.export import Export

__all__ = ["Epochs", "cut_epochs"]

#: Tolerance in steps, so that 0.3 s are three steps of 0.1 s.
ROUNDING = 1e-9

Real = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """Epochs of an analysis around markers.

    Arrays are (epoch, channel set, frequency, time), with one epoch per marker. The column at time
    0 is the one nearest to the marker, at most half a step away.
    """

    #: The marker of each epoch.
    markers: tuple[PlacedMarker, ...]
    #: Labels of the channel sets, such as ``c3,c4``.
    labels: tuple[str, ...]
    #: (time,) seconds from the marker.
    times_s: Real
    #: (frequency,), descending.
    freqs_hz: Real
    #: NaN where there is no result, such as before the start of the recording.
    values: npt.NDArray[np.inexact[Any]]
    #: Radians; None if the analysis has no phase.
    phase: Real | None
    #: True for values affected by missing data or an edge, or without a result.
    mask: npt.NDArray[np.bool_]
    #: Provenance of the export.
    provenance: Mapping[str, str | int | float]

    @property
    def masked(self) -> np.ma.MaskedArray[Any, Any]:
        """The values as a masked array: ``epochs.masked.mean(axis=0)`` is the average."""
        return np.ma.MaskedArray(self.values, self.mask)

    def save_npz(self, path: str | Path) -> None:
        """Write a NumPy archive of the arrays; its array ``provenance`` is JSON."""
        arrays = {
            "times_s": self.times_s,
            "freqs_hz": self.freqs_hz,
            "values": self.values,
            "phase": self.phase,
            "mask": self.mask,
            "channels": np.array(self.labels),
            "provenance": np.array(json.dumps(dict(self.provenance))),
            **export_files.marker_arrays(self.markers),
        }
        export_files.write_arrays(arrays, Path(path))


def cut_epochs(export: Export, text: str, *, before_s: float, after_s: float) -> Epochs:
    """Return the epochs of `export` around the markers with `text`; see `Export.epochs`."""
    if not (math.isfinite(before_s) and math.isfinite(after_s)):
        raise ValueError(f"{before_s=} and {after_s=} must be finite")
    chosen = tuple(
        each for each in export.markers if text == each.text or fnmatchcase(each.text, text)
    )
    if not chosen:
        texts = listed(sorted({each.text for each in export.markers})) or "none"
        raise NotFound(
            f"no marker in epoch {export.epoch} of {export.stream} has the text {text!r}; there "
            f"are: {texts}"
        )
    step_s = export.step_samples / export.fs_hz
    around = np.arange(
        -math.floor(before_s / step_s + ROUNDING), math.floor(after_s / step_s + ROUNDING) + 1
    )
    if len(around) == 0:
        raise ValueError(f"{before_s=} and {after_s=} must not have a negative sum")
    columns = np.array([export.column_of(each) for each in chosen])[:, None] + around
    absent = (columns < 0) | (columns >= len(export.samples))

    def cut(array: npt.NDArray[Any], empty: float) -> npt.NDArray[Any]:
        selected = array[:, :, np.where(absent, 0, columns)]
        selected[:, :, absent] = empty
        return np.ascontiguousarray(np.moveaxis(selected, 2, 0))

    return Epochs(
        markers=chosen,
        labels=export.labels,
        times_s=around * step_s,
        freqs_hz=export.freqs_hz,
        values=cut(export.values, np.nan),
        phase=None if export.phase is None else cut(export.phase, np.nan),
        mask=cut(export.mask, True),
        provenance={
            **export.provenance, "epochs_of": text, "before_s": before_s, "after_s": after_s,
        },
    )  # fmt: skip
