"""Recordings of an Empatica E4 wristband: one text file per sensor.

The first line is the time of the first sample in seconds UTC, the second the rate in Hz, each
repeated per column; samples follow. The name of the file identifies the sensor: ``ACC.csv`` is in
1/64 g, ``BVP.csv`` has no unit, ``EDA.csv`` is in microsiemens, ``TEMP.csv`` in degrees Celsius,
``HR.csv`` in beats per minute. ``IBI.csv`` has no rate and is not supported.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.file_source import FileSource
from pycwt_client.sources.source import NS, Recorded, SourceError
from pycwt_client.sources.tables import TableOptions, recorded_table

__all__ = ["EmpaticaSource", "is_empatica"]

#: Names of columns and their unit, by name of the file.
SENSORS: dict[str, tuple[tuple[str, ...], str]] = {
    "acc": (("acc_x", "acc_y", "acc_z"), "g/64"),
    "bvp": (("bvp",), ""),
    "eda": (("eda",), "uS"),
    "temp": (("temp",), "degC"),
    "hr": (("hr",), "1/min"),
}
#: Earliest plausible time, seconds since 1970: the year 2001.
EARLIEST_S = 1e9
FASTEST_HZ = 1000.0


def is_empatica(first: str, second: str) -> bool:
    """Return whether these first two lines are those of a wristband's file."""
    try:
        starts, rates = ([float(field) for field in line.split(",")] for line in (first, second))
    except ValueError:
        return False
    return (
        len(starts) == len(rates)
        and min(starts) == max(starts) > EARLIEST_S
        and 0 < min(rates) == max(rates) <= FASTEST_HZ
    )


class EmpaticaSource(FileSource):
    """A file of an E4; the module's docstring describes the format."""

    def _read(self) -> Recorded:
        return _opened(self._path, self._options)


def _opened(path: Path, options: TableOptions) -> Recorded:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    if not any(line.strip() for line in lines[2:]) or not is_empatica(*lines[:2]):
        raise SourceError(
            f"{path} is not a file of an Empatica E4: its start time is expected in line 1, its "
            "rate in line 2, then samples (IBI.csv and tags.csv have no rate)"
        )
    try:
        samples = np.loadtxt(lines[2:], delimiter=",", comments=None, ndmin=2)
    except ValueError as error:
        raise SourceError(f"{path}, after line 2: {error}") from None
    width = samples.shape[1]
    labels, unit = next(
        (sensor for word, sensor in SENSORS.items() if word in path.stem.lower()), ((), "")
    )
    if len(labels) != width:
        labels, unit = ("",) * width, ""
    return recorded_table(
        path, channels_of(labels, [unit] * width), samples.astype("<f4"), options,
        stated_fs_hz=float(lines[1].split(",")[0]),
        t0_ns=round(float(lines[0].split(",")[0]) * NS),
    )  # fmt: skip
