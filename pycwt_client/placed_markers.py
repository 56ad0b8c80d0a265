"""Markers of one epoch with their sample positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cwt_runtime.bus import DurableLog
from cwt_schemas import storage, subjects
from cwt_schemas.errors import ContractError
from cwt_schemas.marker import Marker
from pycwt_client.markers import read_marker

__all__ = ["PlacedMarker", "Placement", "place_markers", "read_markers"]

#: Memory of a marker without its text, bytes.
MARKER_BYTES = 2000


@dataclass(frozen=True, kw_only=True)
class PlacedMarker:
    """A marker and its position in the epoch."""

    #: Position from the start of the epoch.
    sample: int
    #: Seconds from the start of the epoch, at the stream's nominal rate.
    time_s: float
    #: Length in samples; 0 for a point in time.
    duration_s: float
    #: Channel, or empty for all channels.
    channel: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The time axis of an epoch."""

    epoch: str
    fs_hz: float
    #: (time,) ascending positions.
    samples: npt.NDArray[np.int64]
    #: (time,) nanoseconds UTC; None if the device sent no time stamps.
    times_ns: npt.NDArray[np.int64] | None

    def has(self, marker: Marker) -> bool:
        """Return whether a marker is in this epoch, by its epoch or else by its time."""
        if marker.epoch is not None or marker.t_ns is None:
            return marker.epoch == self.epoch
        if self.times_ns is None:
            return True
        return bool(self.times_ns[0] <= marker.t_ns <= self.times_ns[-1])

    def sample_of(self, marker: Marker) -> int | None:
        """Return the position of a marker; None if its time cannot be located in the epoch."""
        if marker.t_ns is None:
            return marker.first_sample
        if self.times_ns is None:
            return None
        since_ns = (self.times_ns - self.times_ns[0]).astype(np.float64)
        at_ns = float(marker.t_ns - int(self.times_ns[0]))
        outside_ns = min(at_ns, 0.0) + max(at_ns - float(since_ns[-1]), 0.0)
        inside = float(np.interp(at_ns, since_ns, self.samples))
        return round(inside + outside_ns / 1e9 * self.fs_hz)


def place_markers(
    markers: Iterable[Marker], placement: Placement
) -> tuple[tuple[PlacedMarker, ...], int]:
    """Return the markers of an epoch in order, and the number of those without a position.

    These have only a time, and the device sent no time stamps.
    """
    placed, unplaced = list[PlacedMarker](), 0
    for marker in filter(placement.has, markers):
        sample = placement.sample_of(marker)
        if sample is None:
            unplaced += 1
            continue
        duration_s = marker.duration_s or (marker.n_samples or 0) / placement.fs_hz
        placed.append(
            PlacedMarker(
                sample=sample,
                time_s=sample / placement.fs_hz,
                duration_s=duration_s,
                channel=marker.channel or "",
                text=marker.text,
            )
        )
    return tuple(sorted(placed, key=lambda each: each.sample)), unplaced


async def read_markers(
    log: DurableLog, stream: str, check_size: Callable[[int], None]
) -> list[Marker]:
    """Return all stored markers of a stream, each once.

    `check_size` is called with the memory of the markers read so far, bytes, and raises if it is
    too large.
    """
    by_id: dict[str, Marker] = {}
    size = 0
    async with log.read(storage.RESULTS, (subjects.marker(stream),)) as messages:
        async for stored in messages:
            try:
                marker = read_marker(stored.message)
            except ContractError:
                continue  # written by a version that this one cannot decode
            by_id[marker.id] = marker
            size += MARKER_BYTES + 4 * len(marker.text)
            check_size(size)
    return list(by_id.values())
