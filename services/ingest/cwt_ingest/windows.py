"""Build the messages that carry the windows of a lane to the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cwt_ingest.clock import Clock
from cwt_ingest.lanes import Lane
from cwt_schemas.live import AnalysisWindow, Tile, WindowTimes, tile_id
from cwt_schemas.stream import StreamDefinition

__all__ = ["narrow", "window_messages"]


def window_messages(
    definition: StreamDefinition,
    lane: Lane,
    *,
    tile: Tile,
    first_sample: int,
    samples: NDArray[np.floating],
    exact_dtype: np.dtype[Any],
    epoch: str,
    clock: Clock | None,
    times: WindowTimes,
) -> Iterator[AnalysisWindow]:
    """Yield the messages of a window cut for `lane`, one per batch of channel sets.

    Parameters
    ----------
    definition
        The stream.
    tile, first_sample
        The tile of the window, and its first sample, as sample positions in the epoch.
    samples, exact_dtype
        All channels of the stream, (time, channel), and the smallest lossless dtype.
    epoch, clock
        The epoch of the samples, and the fit of its time stamps or None without stamps.
    times
        Times at which the completing chunk was stored and the window was cut.
    """
    for batch in lane.batches:
        yield AnalysisWindow(
            id=tile_id(
                stream=definition.name,
                epoch=epoch,
                analysis=lane.analysis.name,
                spec_hash=batch.spec_hash,
                octave=lane.octave,
                first_sample=tile.first_sample,
            ),
            stream=definition.name,
            epoch=epoch,
            analysis=batch.spec,
            fs_hz=definition.fs_hz,
            channels=batch.names,
            octave=lane.octave,
            tile=tile,
            first_sample=first_sample,
            samples=narrow(samples[:, batch.columns], exact_dtype),
            t0_ns=clock.time_of(tile.first_sample) if clock else None,
            t0_raw_ns=clock.raw_time_of(tile.first_sample) if clock else None,
            stale_after_s=definition.drop_after_s,
            spec_hash=batch.spec_hash,
            pairs_per_message=lane.pairs_per_message,
            times_ns=times,
        )


def narrow(
    samples: NDArray[np.floating], exact: np.dtype[Any]
) -> NDArray[np.floating | np.integer]:
    """Return the samples in the narrowest type that loses nothing, for the bytes on the bus.

    This is the type that the device sent, or float32 for float64 samples that fit without loss.
    """
    narrow: NDArray[np.floating | np.integer]
    if exact == np.float64:
        with np.errstate(over="ignore"):
            narrow = samples.astype(np.float32, order="C")
        if not np.array_equal(narrow, samples, equal_nan=True):
            narrow = np.ascontiguousarray(samples)
    else:
        narrow = samples.astype(exact, order="C")
    narrow.flags.writeable = False  # a message can use it without a copy
    return narrow
