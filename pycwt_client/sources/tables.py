"""Recordings that are a table in memory: their rate, and the positions of their rows.

The rate is given by the caller, stated in the file, or measured by a column of times. With times,
an interval that is too long is a gap, and the times are published with the samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cwt_schemas.limits import MAX_CHANNELS
from cwt_schemas.sampling_rate import rate_text
from cwt_schemas.stream import Channel
from pycwt_client.signals import Samples
from pycwt_client.sources.places import GAP_S, Run, placed_by_time
from pycwt_client.sources.rate import rate_by, rate_warnings
from pycwt_client.sources.source import CHUNK_S, NS, Annotation, Recorded, SourceError, SourceInfo

__all__ = [
    "DEFAULTS",
    "RATE_NAMES",
    "TableOptions",
    "checked_rate",
    "recorded_table",
    "seconds_of",
    "stated_rate",
    "time_name",
]

#: Names of the rate in Hz in files, in lower case.
RATE_NAMES = ("fs_hz", "fs", "sfreq", "srate", "sampling_rate", "sample_rate", "samplerate", "rate")
#: Names of columns of times, in lower case, without a unit in brackets or after `_`.
TIME_NAMES = (
    "time",
    "times",
    "timestamp",
    "timestamps",
    "t",
    "seconds",
    "datetime",
    "date",
    "timer",
)
#: Units of time in seconds.
UNITS = {
    "s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3,
    "us": 1e-6, "µs": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nanoseconds": 1e-9,
}  # fmt: skip
#: Times since 1970 exceed these values in their unit, from the year 1980 on.
SINCE_1970 = ((3e17, 1e-9), (3e14, 1e-6), (3e11, 1e-3), (3e8, 1.0))
#: A measured rate within this relative distance of an integer is rounded to it.
WHOLE_TOLERANCE = 1e-4

#: Maximum factor between the known rate and that of times in another unit.
NEAR = 1.25
#: Minimum factor between the known rate and that of times of something else.
FAR = 2.0


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Options of the caller for a table."""

    #: Sampling rate; overrides that of the file.
    fs_hz: float | None = None
    #: Sampling rate if neither `fs_hz` nor the file gives it.
    assumed_fs_hz: float | None = None
    #: Duration of a piece, seconds.
    chunk_s: float = CHUNK_S
    #: Longest interval of two samples that is jitter and not a loss, seconds.
    gap_s: float = GAP_S


#: Options of a file that states everything itself.
DEFAULTS = TableOptions()


def recorded_table(
    path: Path,
    channels: tuple[Channel, ...],
    samples: Samples,
    options: TableOptions,
    *,
    stated_fs_hz: float | None = None,
    times_s: NDArray[np.float64] | None = None,
    t0_ns: int | None = None,
    annotations: Sequence[Annotation] = (),
    warnings: Sequence[str] = (),
    unitless: bool = False,
) -> Recorded:
    """Return a table (time, channel) as an open source.

    Parameters
    ----------
    times_s
        Time of each row, in seconds from any origin.
    t0_ns
        Time of the first row, nanoseconds UTC.
    unitless
        Whether the file does not state that its times are seconds.
    """
    if len(samples) == 0 or not channels:
        raise SourceError(f"{path} has no {'samples' if channels else 'channels'}")
    if len(channels) > MAX_CHANNELS:
        raise SourceError(
            f"{path} has {len(channels)} channels of {len(samples)} samples, a stream has at most "
            f"{MAX_CHANNELS}: are its axes (channel, time)? (time, channel) is expected"
        )
    messages = list(warnings)
    given = options.fs_hz or stated_fs_hz
    if times_s is not None and given is not None:
        times_s, mismatch = _fitting(path.name, times_s, given)
        messages += mismatch
    measured = None if times_s is None else rate_by(times_s)
    shown = None if measured is None else _rounded(measured.fs_hz)
    if unitless and given is None and shown is not None and shown < 1:
        messages.append(
            f"the times of {path.name} have no unit and count as seconds, which makes "
            f"{rate_text(shown)}; if they are milliseconds, give the rate: --fs {shown * 1e3:.6g}"
        )
    rates = (options.fs_hz, stated_fs_hz, shown, options.assumed_fs_hz)
    fs_hz = next((each for each in rates if each is not None), None)
    if fs_hz is None:
        raise SourceError(f"{path} does not state its sampling rate: give it with --fs")
    checked_rate(path, fs_hz)
    runs = None
    if times_s is not None:
        # The size of a gap depends on the actual rate of the device.
        placement = placed_by_time(times_s, shown or fs_hz, options.gap_s)
        runs, times_s = placement.runs, placement.times_s
        if placement.wrong:
            messages.append(
                f"{placement.wrong} times of {path.name} jump and come back: the samples are "
                "placed by their count"
            )
        messages += rate_warnings(path.name, measured, fs_hz)
    last = Run(start=0, stop=len(samples), first_sample=0) if runs is None else runs[-1]
    info = SourceInfo(
        name=path.name,
        channels=channels,
        fs_hz=fs_hz,
        n_samples=last.next_sample,
        t0_ns=t0_ns,
        measured_fs_hz=None if measured is None else measured.fs_hz,
        annotations=tuple(annotations),
        warnings=tuple(messages),
    )

    def read(start: int, stop: int) -> Samples:
        piece: Samples = samples[start:stop]
        return piece

    return Recorded(info, read, chunk_s=options.chunk_s, t0_ns=t0_ns, runs=runs, stamps_s=times_s)


def _fitting(
    name: str, times_s: NDArray[np.float64], fs_hz: float
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """Return the times in seconds that match a known rate; None if they do not.

    Times in milliseconds, microseconds or nanoseconds are detected, even if the column does not
    state the unit.
    """
    measured = rate_by(times_s)
    if measured is None:
        return times_s, ()
    factor = fs_hz / measured.fs_hz
    unit = next((each for each in (1e3, 1e6, 1e9) if 1 / NEAR < factor / each < NEAR), None)
    if unit is not None:
        return times_s / unit, ()
    if 1 / FAR < factor < FAR:
        return times_s, ()
    text = (
        f"the times of {name} show {rate_text(measured.fs_hz)} and not {fs_hz:g} Hz: they are left "
        "out"
    )
    return None, (text,)


def checked_rate(path: Path, fs_hz: float) -> float:
    """Return a valid rate.

    Raises
    ------
    SourceError
        The rate is not valid.
    """
    if not 0 < fs_hz < math.inf:
        raise SourceError(f"{path}: {fs_hz:g} is not a sampling rate")
    return fs_hz


def _rounded(fs_hz: float) -> float:
    """Return a measured rate, rounded to an integer if near one."""
    whole = round(fs_hz)
    near = whole > 0 and abs(fs_hz - whole) < WHOLE_TOLERANCE * whole
    return float(whole) if near else float(f"{fs_hz:.6g}")


def time_name(name: str) -> tuple[bool, float | None]:
    """Return whether a column of this name has times, and its unit in seconds if the name has it.

    >>> time_name("Time (ms)"), time_name("t_s"), time_name("Timestamp"), time_name("ecg")
    ((True, 0.001), (True, 1.0), (True, None), (False, None))
    """
    plain = name.strip().lower().replace("[", "(").rstrip(")]")
    word, bracket, unit = (part.strip() for part in plain.partition("("))
    if not bracket and (found := word.rpartition("_"))[2] in UNITS:
        word, unit = found[0].strip(), found[2]
    return word in TIME_NAMES, UNITS.get(unit)


def seconds_of(
    times: NDArray[np.float64] | NDArray[np.int64], unit_s: float | None
) -> tuple[NDArray[np.float64], int | None]:
    """Return times in seconds from the first one, and for dates the first one in nanoseconds UTC.

    Without a unit, numbers of the size of seconds, milliseconds, microseconds or nanoseconds since
    1970 are taken as those, others as seconds.
    """
    first = times[0]
    units = [(above, unit) for above, unit in SINCE_1970 if unit_s in {None, unit}]
    found = next((unit for above, unit in units if float(first) > above), None)
    scale = unit_s or found or 1.0
    seconds = (times - first).astype(np.float64) * scale
    if not found:
        return seconds, None
    # Computed in parts, since a float of nanoseconds since 1970 is off by up to 128 of them.
    per_unit, whole = round(scale * NS), int(first)
    return seconds, whole * per_unit + round(float(first - whole) * per_unit)


def stated_rate(values: Mapping[str, object]) -> float | None:
    """Return the rate among these values by one of its usual names."""
    for name, value in values.items():
        if name.lower() in RATE_NAMES:
            try:
                return float(np.asarray(value).reshape(()))
            except (TypeError, ValueError):
                continue
    return None
