"""Format markers for a terminal. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime

from cwt_schemas.marker import Marker

__all__ = ["marker_line", "marker_place"]


def marker_place(marker: Marker, fs_hz: float | None = None) -> str:
    """Format the position of a marker, in seconds of its epoch if the rate is known."""
    if marker.t_ns is not None:
        return datetime.fromtimestamp(marker.t_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    if fs_hz is None or marker.first_sample is None:
        return f"sample {marker.first_sample}"
    return f"{marker.first_sample / fs_hz:.2f} s"


def marker_line(marker: Marker, fs_hz: float | None) -> str:
    """Format a marker as a line; `fs_hz` is the rate of its stream, or None if unknown."""
    channel = "" if marker.channel is None else f" {marker.channel}"
    line = f"marker: {marker.stream}{channel} {marker_place(marker, fs_hz)}"
    if marker.duration_s is not None:
        line += f" for {marker.duration_s:g} s"
    if marker.n_samples is not None:
        line += f" for {marker.n_samples} samples"
    return f"{line}: {' '.join(marker.text.split())}"
