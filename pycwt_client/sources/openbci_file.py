"""Recordings of the OpenBCI GUI: text that begins with ``%OpenBCI``.

Rules
-----
- Lines that begin with ``%`` describe the recording; ``%Sample Rate = 250 Hz`` is required.
- From version 5 on, a line names the columns; earlier versions have fixed columns.
- Signals are the EXG and accelerometer columns. ``Sample Index`` counts the samples of a Cyton and
  restarts after 255; ``Timestamp`` is UTC, in seconds or milliseconds.
- A nonzero number in ``Marker Channel`` is an annotation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycwt_client.signals import narrowed
from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.file_source import FileSource
from pycwt_client.sources.places import ByCounter, Run, placed_by_time
from pycwt_client.sources.rate import rate_by, rate_warnings
from pycwt_client.sources.source import Annotation, Recorded, SourceError, SourceInfo
from pycwt_client.sources.tables import TableOptions, checked_rate, seconds_of

__all__ = ["MAGIC", "OpenBciSource"]

MAGIC = "%OpenBCI"
MODULUS = 256
#: Minimum fraction of samples whose count is one more than the previous one, for a valid counter.
COUNTED = 0.5
_RATE = re.compile(r"%\s*Sample Rate\s*=\s*([0-9]+(?:\.[0-9]*)?)(?![0-9.])", re.IGNORECASE)
_COUNT = re.compile(r"%\s*Number of channels\s*=\s*([0-9]+)", re.IGNORECASE)
_SIGNAL = re.compile(r"\s*(EXG|Accel) Channel\b", re.IGNORECASE)
#: Units of OpenBCI's columns.
UNITS = {"exg": "uV", "acc": "g"}


class OpenBciSource(FileSource):
    """A recording of the OpenBCI GUI, versions 4 to 6; see the rules in the module's docstring."""

    def _read(self) -> Recorded:
        return _opened(self._path, self._options)


@dataclass(frozen=True, kw_only=True)
class Text:
    """The sections of a recording's text."""

    fs_hz: float | None
    columns: list[str]
    rows: list[str]
    first_row: int


def _opened(path: Path, options: TableOptions) -> Recorded:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    text = _parts(path, lines)
    fs_hz = options.fs_hz or text.fs_hz or options.assumed_fs_hz
    if fs_hz is None:
        raise SourceError(f"{path} has no line '%Sample Rate = 250 Hz': give the rate with --fs")
    checked_rate(path, fs_hz)
    places = [at for at, name in enumerate(text.columns) if _SIGNAL.match(name)]
    if not places:
        raise SourceError(f"{path} has no columns of EXG, only {', '.join(text.columns)}")
    stamp, marker = _place(text.columns, "timestamp"), _place(text.columns, "marker channel")
    count = _place(text.columns, "sample index")
    indices = [*places, *(at for at in (count, stamp, marker) if at is not None)]
    table, warnings = _table(path, text, indices)
    columns = dict(zip(indices, table.T, strict=True))
    times_s, t0_ns = (None, None) if stamp is None else _times(columns[stamp])
    runs, times_s = _placed(
        fs_hz, options.gap_s, times_s, None if count is None else columns[count], len(table)
    )
    measured = None if times_s is None else rate_by(times_s)
    samples = narrowed(table[:, : len(places)])
    labels = [text.columns[at].strip() for at in places]
    info = SourceInfo(
        name=path.name,
        channels=channels_of(labels, [UNITS[label[:3].lower()] for label in labels]),
        fs_hz=fs_hz,
        n_samples=runs[-1].next_sample,
        t0_ns=t0_ns,
        annotations=_marks(columns.get(-1 if marker is None else marker), runs, fs_hz),
        measured_fs_hz=measured.fs_hz if measured else None,
        warnings=(*warnings, *rate_warnings(path.name, measured, fs_hz)),
    )
    return Recorded(
        info,
        lambda start, stop: samples[start:stop],
        chunk_s=options.chunk_s,
        t0_ns=t0_ns,
        runs=runs,
        stamps_s=times_s,
    )


def _parts(path: Path, lines: Sequence[str]) -> Text:
    fs_hz, n_channels, at = None, 0, 0
    while at < len(lines) and (lines[at].startswith("%") or not lines[at].strip()):
        if rate := _RATE.match(lines[at]):
            fs_hz = float(rate[1])
        if count := _COUNT.match(lines[at]):
            n_channels = int(count[1])
        at += 1
    if at == 0 or not lines[0].startswith(MAGIC):
        raise SourceError(f"{path} is not a recording of OpenBCI: it does not begin with {MAGIC}")
    if at < len(lines) and "EXG" in lines[at]:
        columns = lines[at].split(",")
        at += 1
    else:  # version 4 and earlier
        columns = ["Sample Index", *(f"EXG Channel {each}" for each in range(n_channels))]
        columns += [f"Accel Channel {each}" for each in range(3)]
    return Text(fs_hz=fs_hz, columns=columns, rows=list(lines[at:]), first_row=at + 1)


def _place(columns: Sequence[str], name: str) -> int | None:
    plain = [each.strip().lower() for each in columns]
    return plain.index(name) if name in plain else None


def _table(
    path: Path, text: Text, places: Sequence[int]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the columns at `places`, (time, column), without an incomplete last line."""
    rows, warnings = text.rows, tuple[str, ...]()
    while rows and not rows[-1].strip():
        rows = rows[:-1]
    if rows and rows[-1].count(",") < len(text.columns) - 1:
        rows, warnings = (
            rows[:-1],
            (f"{path.name} ends in the middle of a line, which is omitted",),
        )
    if not rows:
        raise SourceError(f"{path} has no samples")
    try:
        return np.loadtxt(rows, delimiter=",", usecols=places, comments=None, ndmin=2), warnings
    except ValueError as error:
        raise SourceError(f"{path}, after line {text.first_row - 1}: {error}") from None


def _times(stamps: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, int | None]:
    if not np.isfinite(stamps).all() or not stamps.any():
        return None, None
    return seconds_of(stamps, None)


def _placed(
    fs_hz: float,
    gap_s: float,
    times_s: NDArray[np.float64] | None,
    counts: NDArray[np.float64] | None,
    n: int,
) -> tuple[list[Run], NDArray[np.float64] | None]:
    """Return the positions of the samples, and their valid times."""
    at_s = np.arange(n) / fs_hz if times_s is None else times_s
    placement = placed_by_time(at_s, fs_hz, gap_s)
    stamps = None if times_s is None else placement.times_s
    if counts is not None and n > 1 and np.mean(np.diff(counts) % MODULUS == 1) > COUNTED:
        return ByCounter(fs_hz, MODULUS).place(counts, placement.times_s), stamps
    return placement.runs, stamps


def _marks(
    markers: NDArray[np.float64] | None, runs: Sequence[Run], fs_hz: float
) -> tuple[Annotation, ...]:
    if markers is None:
        return ()
    marks = []
    for at in np.flatnonzero(np.nan_to_num(markers)).tolist():
        run = next(each for each in runs if each.start <= at < each.stop)
        onset_s = (run.first_sample + at - run.start) / fs_hz
        marks.append(Annotation(onset_s=onset_s, duration_s=0.0, text=f"{markers[at]:g}"))
    return tuple(marks)
