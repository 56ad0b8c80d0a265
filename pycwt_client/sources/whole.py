"""Complete recordings in memory: to transform them, or to resample them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from pycwt_client.chunks import Piece
from pycwt_client.signals import Samples
from pycwt_client.sources.source import CHUNK_S, Recorded, Signals, Source, SourceError, SourceInfo

__all__ = ["Resampled", "Whole", "read_whole", "resampled"]

Real = NDArray[np.floating[Any]]

#: Maximum number of values of a recording that fits in memory with its results.
MAX_NUMBERS = 1 << 28
#: Maximum terms of the ratio of rates, so that a rate is met within 1e-8.
MAX_RATIO = 10_000
#: Half length of the filter in samples of the lower rate, as chosen by scipy.
HALF_LENGTH = 10


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A complete recording."""

    info: SourceInfo
    #: (time, channel); NaN is a missing sample.
    samples: Real
    #: Time of the first sample, nanoseconds UTC; None if unknown.
    t0_ns: int | None


async def read_whole(source: Source) -> Whole:
    """Read a recording to its end.

    Raises
    ------
    SourceError
        The recording is not readable, is too long, or is a device, which has no end.
    """
    async with source.open() as signals:
        info = signals.info
        if info.n_samples is None:
            raise SourceError(f"{info.name} is a device, which has no end; give a recording")
        shape = info.n_samples, len(info.channels)
        if math.prod(shape) > MAX_NUMBERS:
            raise SourceError(
                f"{info.name} has {shape[0]} samples of {shape[1]} channels, with its gaps: too "
                "many to hold in memory; choose channels with --channels, or publish it at its own "
                "rate"
            )
        t0_ns, pieces, precise = None, list[Piece](), False
        async for piece in signals:
            if not pieces:
                t0_ns = piece.t0_ns
            pieces.append(piece)
            # 16-bit integers and float32 are exact in float32.
            precise |= np.result_type(piece.samples.dtype, np.float32) != np.float32
        samples = np.full(shape, np.nan, dtype=np.float64 if precise else np.float32)
        for piece in pieces:
            samples[piece.first_sample : piece.next_sample] = piece.samples
    return Whole(info=info, samples=samples, t0_ns=t0_ns)


def resampled(whole: Whole, fs_hz: float) -> Whole:
    """Return a recording at another rate, by `scipy.signal.resample_poly`.

    The filter is the default of scipy: a linear-phase low-pass with a Kaiser window (beta 5), of 20
    samples of the lower rate. It is flat within 0.02 dB up to 0.8 of the lower Nyquist frequency,
    and has -6 dB at that frequency and -55 dB from 1.2 times it. The least-squares line is removed
    before and added after, so that an offset causes neither ripples nor steps at the ends.

    A sample at the new rate is missing if the filter would use a missing one for it.
    """
    info = whole.info
    possible = 0 < fs_hz < math.inf
    ratio = Fraction(fs_hz / info.fs_hz if possible else 0.0).limit_denominator(MAX_RATIO)
    if ratio == 0:
        raise SourceError(f"cannot resample {info.name} from {info.fs_hz:g} Hz to {fs_hz:g} Hz")
    if ratio == 1:
        return replace(whole, info=replace(info, fs_hz=fs_hz))
    up, down = ratio.numerator, ratio.denominator
    columns = [_resampled_column(column, up, down) for column in whole.samples.T]
    samples = np.stack(columns, axis=1)
    changed = replace(info, fs_hz=fs_hz, n_samples=len(samples), measured_fs_hz=None)
    return Whole(info=changed, samples=samples, t0_ns=whole.t0_ns)


def _resampled_column(column: Real, up: int, down: int) -> Real:
    from scipy.signal import resample_poly  # slow to import

    there = np.isfinite(column)
    n = -(-len(column) * up // down)
    if not there.any():
        return np.full(n, np.nan, dtype=column.dtype)
    at = np.arange(len(column))
    filled = column if there.all() else np.interp(at, at[there], column[there])
    places = np.arange(n) * (down / up)
    # The images of an offset would remain, attenuated by 55 dB, so it is removed first.
    offset, slope = _line(filled.astype(np.float64))
    rest = filled - (offset + slope * at)
    found: NDArray[np.float64] = resample_poly(rest, up, down, padtype="line")
    found += offset + slope * places
    if not there.all():
        reach = HALF_LENGTH * max(up, down) / up
        absent = np.concatenate(([0], np.cumsum(~there)))
        first = np.clip(np.ceil(places - reach), 0, len(column)).astype(np.intp)
        last = np.clip(np.floor(places + reach) + 1, 0, len(column)).astype(np.intp)
        found[absent[last] > absent[first]] = np.nan
    return found.astype(column.dtype)


def _line(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return offset and slope of the least-squares line."""
    at = np.arange(len(values)) - (len(values) - 1) / 2
    mean, spread = float(values.mean()), float(at @ at)
    slope = float(at @ values) / spread if spread else 0.0
    return mean + slope * float(at[0]), slope


class Resampled:
    """Implement `Source` for another recording at the rate `fs_hz`; see `resampled`."""

    def __init__(self, source: Source, fs_hz: float, *, chunk_s: float = CHUNK_S) -> None:
        self._source = source
        self._fs_hz = fs_hz
        self._chunk_s = chunk_s

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Read the complete recording."""
        whole = await read_whole(self._source)
        changed = await to_thread.run_sync(resampled, whole, self._fs_hz)

        def read(start: int, stop: int) -> Samples:
            return changed.samples[start:stop]

        yield Recorded(changed.info, read, chunk_s=self._chunk_s, t0_ns=changed.t0_ns)
