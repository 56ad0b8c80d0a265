"""Publish a source: a recording in real time or faster, a device as it records."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

from pycwt_client.publisher import Publisher
from pycwt_client.sources.annotation_markers import AnnotationMarkers
from pycwt_client.sources.source import NS, Signals

__all__ = ["play", "start_time_ns"]


def start_time_ns(now_ns: int, duration_s: float, speed: float) -> int:
    """Return the time of the first sample, so that no sample is in the future.

    In real time this is now; if faster, the last sample has the time at which it is sent.
    """
    ahead = 1.0 if speed == 0 else max(1 - 1 / speed, 0.0)
    return now_ns - round(duration_s * ahead * NS)


async def play(
    signals: Signals,
    publisher: Publisher,
    *,
    speed: float = 1.0,
    played: Callable[[int], None] = lambda _samples: None,
) -> None:
    """Publish the pieces of an open source.

    A recording is published as its device would have sent it, and the epoch is ended after it, so
    that the last results are computed as well. Its annotations become markers. If the recording was
    interrupted under the same epoch, chunks that ingest has read are skipped. A device has no end:
    after cancelling this function, call `Publisher.finish`.

    Parameters
    ----------
    signals, publisher
        Source and destination.
    speed
        Speed of a recording as a multiple of real time; 0 is as fast as possible.
    played
        Called after each piece with the number of samples sent.
    """
    info = signals.info
    pace = 0.0 if info.live else speed
    known = 0 if info.live else publisher.known_samples
    if known:
        publisher.next_sample = known
    t0_ns = None
    if info.n_samples is not None:
        rest_s = max(info.n_samples - known, 0) / info.fs_hz
        t0_ns = start_time_ns(time.time_ns(), rest_s, speed) - round(known / info.fs_hz * NS)
    markers = AnnotationMarkers(info, publisher)
    begin = anyio.current_time()
    async for piece in signals:
        if piece.next_sample > known:
            if pace > 0:
                await anyio.sleep_until(begin + (piece.next_sample - known) / info.fs_hz / pace)
            at_ns = piece.t0_ns
            if at_ns is None and t0_ns is not None:
                at_ns = t0_ns + round(piece.first_sample / info.fs_hz * NS)
            await publisher.publish(piece.samples, first_sample=piece.first_sample, t0_ns=at_ns)
        await markers.mark_until(piece.next_sample)
        played(piece.next_sample)
    await markers.mark_until(math.inf)
    await publisher.finish()
