"""From samples cut by the library to the windows that travel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.streaming import CutWindow
from schemas.ids import tile_id
from schemas.stream import StreamDefinition
from schemas.timing import WindowTimes
from schemas.window import AnalysisWindow, Tile
from services.ingest.accounting import Finding
from services.ingest.clock import Clock
from services.ingest.lanes import Lane

__all__ = ["missing_in", "windows_of"]


def windows_of(
    definition: StreamDefinition,
    lane: Lane,
    cut: CutWindow,
    *,
    epoch: str,
    clock: Clock | None,
    times: WindowTimes,
) -> Iterator[AnalysisWindow]:
    """Yield one window for each batch of channel sets of the lane."""
    first = cut.tile.first
    for batch in lane.batches:
        yield AnalysisWindow(
            id=tile_id(
                stream=definition.name,
                epoch=epoch,
                analysis=lane.analysis.name,
                spec_hash=batch.spec_hash,
                octave=lane.octave,
                first_sample=first,
            ),
            stream=definition.name,
            epoch=epoch,
            analysis=batch.spec,
            fs_hz=definition.fs_hz,
            channels=batch.names,
            octave=lane.octave,
            tile=Tile(first_sample=first, n=cut.tile.n),
            first_sample=cut.first,
            samples=_narrow(cut.samples[:, batch.columns], cut.exact_dtype),
            t0_ns=clock.time_of(first) if clock else None,
            t0_raw_ns=clock.raw_time_of(first) if clock else None,
            stale_after_s=definition.drop_after_s,
            spec_hash=batch.spec_hash,
            times_ns=times,
        )


def missing_in(samples: NDArray[np.generic], first: int) -> Finding | None:
    """Return the finding of NaN samples, None where there are none."""
    if samples.dtype.kind != "f":
        return None
    rows = np.flatnonzero(np.isnan(samples).any(axis=1))
    if not rows.size:
        return None
    return Finding(
        kind="missing",
        first_sample=first + int(rows[0]),
        n_samples=int(rows.size),
        detail=f"{rows.size} samples have no value in at least one channel",
    )


def _narrow(
    samples: NDArray[np.floating], exact: np.dtype[Any]
) -> NDArray[np.floating | np.integer]:
    """Return the samples in the narrowest type that loses nothing, for the bytes on the bus.

    That is what the device sent; of float64, float32 where that is as good.
    """
    narrow: NDArray[np.floating | np.integer]
    if exact == np.float64:
        with np.errstate(over="ignore"):
            narrow = samples.astype(np.float32, order="C")
        if not np.array_equal(narrow, samples, equal_nan=True):
            narrow = np.ascontiguousarray(samples)
    else:
        narrow = samples.astype(exact, order="C")
    narrow.flags.writeable = False  # a message takes it without a copy
    return narrow
