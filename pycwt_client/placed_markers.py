"""Markers of one epoch, each at its sample."""

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

#: Of a marker in memory, without its text.
MARKER_BYTES = 2000


@dataclass(frozen=True, kw_only=True)
class PlacedMarker:
    """A marker, and where in the epoch it is."""

    #: Position from the start of the epoch.
    sample: int
    #: Seconds from the start of the epoch, at the stream's nominal rate.
    time_s: float
    #: 0 for a moment.
    duration_s: float
    #: Empty: all channels.
    channel: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The time axis of an epoch."""

    epoch: str
    fs_hz: float
    #: (time,) ascending positions.
    samples: npt.NDArray[np.int64]
    #: (time,) nanoseconds UTC; None where the device sent no times.
    times_ns: npt.NDArray[np.int64] | None

    def has(self, marker: Marker) -> bool:
        """Return whether a marker is about this epoch; one of a time alone, if it is within."""
        if marker.epoch is not None or marker.t_ns is None:
            return marker.epoch == self.epoch
        if self.times_ns is None:
            return True
        return bool(self.times_ns[0] <= marker.t_ns <= self.times_ns[-1])

    def sample_of(self, marker: Marker) -> int | None:
        """Return the position of a marker; None: it has a time, and the epoch none."""
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
    """Return the markers of an epoch in order, and how many have no place in it.

    Those have a time, and the device sent none.
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
    """Return all markers that are stored of a stream, each once.

    `check_size` is called with the bytes that those read so far take, and raises if they are too
    many.
    """
    found: dict[str, Marker] = {}
    size = 0
    async with log.read(storage.RESULTS, (subjects.marker(stream),)) as messages:
        async for stored in messages:
            try:
                marker = read_marker(stored.message)
            except ContractError:
                continue  # of a version that cannot be read here
            found[marker.id] = marker
            size += MARKER_BYTES + 4 * len(marker.text)
            check_size(size)
    return list(found.values())
