"""Measure the sampling rate of a source by its time stamps, and compare it with the stated one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import anyio
import numpy as np
from numpy.typing import NDArray

from cwt_schemas.sampling_rate import (
    MIN_STAMPS,
    MeasuredRate,
    RateMeter,
    measured_rate,
    rate_text,
)
from pycwt_client.chunks import Piece
from pycwt_client.sources.places import LONGEST_S
from pycwt_client.sources.source import NS, Signals, Source, SourceError, SourceInfo

__all__ = ["RateChecked", "measured_fs_hz", "rate_by", "rate_warnings"]

#: How long a device is measured, seconds: its time stamps may have a jitter of milliseconds.
MEASURE_S = 10.0
#: Deadline for the first time stamps of slow devices, seconds.
PATIENCE_S = 60.0
#: Interval of measurements while samples are published, seconds.
CHECK_S = 1.0


def rate_by(times_s: NDArray[np.float64]) -> MeasuredRate | None:
    """Return the rate by the time stamps of all samples of a recording, (time,), in seconds."""
    possible = np.isfinite(times_s)
    if not possible.any():
        return None
    since = times_s - np.median(times_s[possible])
    possible &= np.abs(since) < LONGEST_S
    return measured_rate(np.flatnonzero(possible), since[possible] * NS)


def rate_warnings(name: str, measured: MeasuredRate | None, fs_hz: float) -> tuple[str, ...]:
    """Return a warning if the time stamps show another rate than `fs_hz`."""
    if measured is None or not measured.differs_from(fs_hz):
        return ()
    factor = fs_hz / measured.fs_hz
    text = (
        f"{name} has {fs_hz:g} Hz, but its time stamps say {rate_text(measured.fs_hz)}: "
        f"frequencies will be shown {factor:.3g} times as high; use the measured rate "
        "(--fs measured)"
    )
    return (text,)


async def measured_fs_hz(source: Source) -> float:
    """Measure the rate of a recording, or of a device within some seconds, by its time stamps.

    Raises
    ------
    SourceError
        There are no time stamps, or too few.
    """
    async with source.open() as signals:
        measured = signals.info.measured_fs_hz
        if measured is None and signals.info.live:
            measured = await _listened(signals)
        if measured is None:
            raise SourceError(
                f"cannot measure the rate of {signals.info.name}: it has no time stamps, or too "
                "few; give the rate with --fs 125"
            )
    return float(f"{measured:.6g}")


async def _listened(signals: Signals) -> float | None:
    meter, stamps = RateMeter(), 0
    begin = anyio.current_time()
    with anyio.move_on_after(PATIENCE_S):
        async for piece in signals:
            if piece.t0_ns is not None:
                meter.add(piece.first_sample, piece.t0_ns)
                stamps += 1
            if stamps >= MIN_STAMPS and anyio.current_time() > begin + MEASURE_S:
                break
    measured = meter.measured()
    return None if measured is None else measured.fs_hz


class RateChecked:
    """Implement `Signals` for a device whose rate is compared with its time stamps meanwhile.

    Parameters
    ----------
    signals
        The device.
    tell
        Called once if the device has another rate.
    """

    def __init__(self, signals: Signals, tell: Callable[[str], None]) -> None:
        self._signals = signals
        self._tell = tell
        self._meter = RateMeter()

    @property
    def info(self) -> SourceInfo:
        """Description of the source."""
        return self._signals.info

    async def __aiter__(self) -> AsyncIterator[Piece]:
        reported, due = False, anyio.current_time() + CHECK_S
        async for piece in self._signals:
            if piece.t0_ns is not None and not reported:
                self._meter.add(piece.first_sample, piece.t0_ns)
                if anyio.current_time() > due:
                    due = anyio.current_time() + CHECK_S
                    reported = self._check()
            yield piece

    def _check(self) -> bool:
        texts = rate_warnings(self.info.name, self._meter.measured(), self.info.fs_hz)
        for text in texts:
            self._tell(text)
        return bool(texts)
