"""A recording played as a device would send it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

from cli.recording import Recording
from pycwt_client import Publisher

__all__ = ["play", "start_time_ns"]

NS = 1_000_000_000


def start_time_ns(now_ns: int, duration_s: float, speed: float) -> int:
    """Return when the first sample was taken, so that no sample is from the future.

    At real time that is now; faster, the last sample is from the moment it is sent.
    """
    ahead = 1.0 if speed == 0 else max(1 - 1 / speed, 0.0)
    return now_ns - round(duration_s * ahead * NS)


async def play(
    recording: Recording,
    publisher: Publisher,
    *,
    fs_hz: float,
    chunk_s: float,
    speed: float,
    played: Callable[[int], None] = lambda _samples: None,
) -> None:
    """Publish the recording in chunks, each when a device at `speed` times real time has it.

    Ends the epoch after the last one, so that the results of the end come as well.

    Parameters
    ----------
    speed
        Times real time; 0: as fast as it goes.
    played
        Told after each chunk how many samples are out.
    """
    n = len(recording.samples)
    step = max(math.floor(chunk_s * fs_hz + 0.5), 1)
    t0_ns = start_time_ns(time.time_ns(), n / fs_hz, speed)
    begin = anyio.current_time()
    for first in range(0, n, step):
        end = min(first + step, n)
        if speed > 0:
            await anyio.sleep_until(begin + end / fs_hz / speed)
        await publisher.publish(
            recording.samples[first:end],
            first_sample=first,
            t0_ns=t0_ns + round(first / fs_hz * NS),
        )
        played(end)
    await publisher.finish()
