"""Recordings as text: columns separated by commas, one row per sample.

Rules
-----
- Lines that begin with ``#`` are comments; ``# fs_hz=125`` gives the sampling rate.
- The first other line names the columns. If it has semicolons or tabs, they separate the columns
  and the comma is the decimal separator, as spreadsheets write it in much of Europe. The names are
  made valid on the bus and distinct, in the same way for every command. Lines before the names are
  skipped, and without names the columns are ``ch1``, ``ch2`` (`csv_header`).
- A column named ``time``, ``t``, ``timestamp`` and the like, with or without a unit, is not a
  channel if its numbers or dates increase: it has the times of the samples, and gives the rate.
- Columns that are not selected may contain anything.
- Samples are float32, or float64 where that would round a column by more than a hundred-thousandth
  of its standard deviation, as with a large offset.
- An empty field, ``nan``, ``NA`` or an infinite number is a missing sample.
- Fields may be in double quotes. A byte order mark is ignored.
- A file with the suffix ``.gz`` is decompressed.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from cwt_schemas.limits import MAX_CHANNELS
from pycwt_client.signals import Samples, narrowed
from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.csv_header import (
    HEAD_LINES,
    MISSING,
    SEPARATORS,
    Head,
    Header,
    fields_of,
    is_number,
    number_of,
    read_head,
)
from pycwt_client.sources.file_source import ChannelFileSource
from pycwt_client.sources.source import (
    CHUNK_S,
    ChoiceNeededError,
    Recorded,
    SourceError,
    SourceInfo,
    places_of,
)
from pycwt_client.sources.tables import TableOptions, checked_rate, recorded_table, seconds_of

__all__ = ["CsvSource", "Recording", "parse_recording", "read_recording"]

#: Largest valid sample.
LARGEST = float(np.finfo(np.float32).max)
#: Maximum length of a line: quoted names of 64 characters for the maximum number of channels.
MAX_LINE = 80 * MAX_CHANNELS
#: Minimum fraction of the time steps that must be positive.
MOSTLY = 0.9
#: Number of lines to parse together.
BLOCK_ROWS = 4096
_RATE = re.compile(r"#\s*fs_hz\s*=\s*(\S+)")


Real = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Samples of several channels at one rate."""

    columns: tuple[str, ...]
    #: (time, channel), little-endian float32 or float64; NaN is missing.
    samples: Real
    #: None if the file does not state it.
    fs_hz: float | None
    #: (time,) seconds from the first sample, and the time of that; None without times in the file.
    times_s: npt.NDArray[np.float64] | None = None
    t0_ns: int | None = None
    #: Whether seconds were assumed as the unit of the times.
    unitless: bool = False
    #: Warnings for the user, such as a missing end.
    warnings: tuple[str, ...] = ()

    def selected(self, columns: tuple[str, ...]) -> Recording:
        """Return the recording with only these columns, in that order."""
        places = places_of(columns, self.columns, "the recording")
        return replace(
            self,
            columns=tuple(self.columns[at] for at in places),
            samples=_columns(self.samples, places),
        )

    def first(self, seconds: float, fs_hz: float) -> Recording:
        """Return the first `seconds` of the recording."""
        n = max(round(seconds * fs_hz), 1)
        times_s = None if self.times_s is None else self.times_s[:n]
        return replace(self, samples=self.samples[:n], times_s=times_s)

    def signals(
        self, fs_hz: float, *, name: str = "recording", chunk_s: float = CHUNK_S
    ) -> Recorded:
        """Return the recording as an open source at this rate."""
        info = SourceInfo(
            name=name,
            channels=channels_of(self.columns, [None] * len(self.columns)),
            fs_hz=fs_hz,
            n_samples=len(self.samples),
            warnings=self.warnings,
        )

        def read(start: int, stop: int) -> Samples:
            return self.samples[start:stop]

        return Recorded(info, read, chunk_s=chunk_s)


class CsvSource(ChannelFileSource):
    """A file of comma-separated columns; the module's docstring describes the format.

    Parameters
    ----------
    path
        The file; may end in ``.gz``.
    channels
        Columns to read, in that order; None reads all.
    fs_hz
        Sampling rate; overrides that of the file.
    assumed_fs_hz
        Sampling rate if neither `fs_hz` nor the file gives it.
    chunk_s
        Duration of a piece, seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        channels: tuple[str, ...] | None = None,
        fs_hz: float | None = None,
        assumed_fs_hz: float | None = None,
        chunk_s: float = CHUNK_S,
    ) -> None:
        options = TableOptions(fs_hz=fs_hz, assumed_fs_hz=assumed_fs_hz, chunk_s=chunk_s)
        super().__init__(path, options, channels=channels)

    def _read(self) -> Recorded:
        recording = read_recording(self._path, self._channels)
        if recording.times_s is not None:
            return self._timed(recording, recording.times_s)
        candidates = (self._options.fs_hz, recording.fs_hz, self._options.assumed_fs_hz)
        fs_hz = next((each for each in candidates if each is not None), None)
        if fs_hz is None:
            raise SourceError(
                f"{self._path} does not state its sampling rate: give it (--fs 125, in a request "
                "or a program fs_hz=125), or begin the file with a line # fs_hz=125"
            )
        checked_rate(self._path, fs_hz)
        return recording.signals(fs_hz, name=self._path.name, chunk_s=self._options.chunk_s)

    def _timed(self, recording: Recording, times_s: npt.NDArray[np.float64]) -> Recorded:
        names = recording.columns
        return recorded_table(
            self._path,
            channels_of(names, [None] * len(names)),
            recording.samples,
            self._options,
            stated_fs_hz=recording.fs_hz,
            times_s=times_s,
            t0_ns=recording.t0_ns,
            warnings=recording.warnings,
            unitless=recording.unitless,
        )


def read_recording(path: Path, columns: tuple[str, ...] | None = None) -> Recording:
    """Read a recording from a file, or some columns of it.

    Raises
    ------
    SourceError
        The file is not valid; the message gives the place and the reason.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            warnings: list[str] = []
            recording = parse_recording(_lines(lines, path, warnings), str(path), columns)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{path} is not a complete gzip file: {error}") from None
    except UnicodeDecodeError:
        raise SourceError(
            f"{path} is not a text file in UTF-8: convert it, or say what it is, such as edf:{path}"
        ) from None
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    return replace(recording, warnings=(*recording.warnings, *warnings))


def parse_recording(
    lines: Iterable[str], name: str, columns: tuple[str, ...] | None = None
) -> Recording:
    """Parse the lines of a recording; `name` identifies it in errors."""
    fs_hz: float | None = None
    samples = array("d")  # a list of numbers needs several times as much memory
    head: Head | None = None
    #: Lines of the header until it is complete, then those of a block.
    block: list[tuple[int, str]] = []

    def store(head: Head) -> None:
        if block:
            samples.frombytes(_table(block, head.header, name).tobytes())
            block.clear()

    for number, raw in enumerate(lines, 1):
        line = raw.strip(" \r\n")
        if line.startswith("#"):
            fs_hz = _rate(line, f"{name}, line {number}") or fs_hz
        elif head is None:
            if line or block:
                block.append((number, line))
            if len(block) == HEAD_LINES:
                head = _split_head(block, columns, name)
        elif line or len(head.header.names) == 1:
            block.append((number, line))
            if len(block) >= BLOCK_ROWS:
                store(head)
    if head is None and block:
        head = _split_head(block, columns, name)
    if head is not None:
        store(head)
    if not samples or head is None:
        raise SourceError(f"{name} has no samples")
    table = np.frombuffer(samples, dtype=np.float64).reshape(-1, len(head.header.read))
    recording = _recording(table, head.header, columns)
    return replace(recording, fs_hz=fs_hz or head.fs_hz, warnings=head.warnings)


def _split_head(block: list[tuple[int, str]], columns: tuple[str, ...] | None, name: str) -> Head:
    """Find the header in the first lines, and leave the rows in `block`."""
    nonempty = [each for each in block if each[1]]
    head = read_head(nonempty, columns, name)
    last = nonempty[head.lines - 1][0] if head.lines else 0
    single_column = len(head.header.names) == 1  # an empty line is a missing sample
    block[:] = [each for each in block if each[0] > last and (each[1] or single_column)]
    return head


def _recording(table: Real, header: Header, columns: tuple[str, ...] | None) -> Recording:
    """Separate times from channels."""
    read, at = header.read, header.time_at
    kept = [place for place, column in enumerate(read) if column in header.chosen]
    times_s, t0_ns = None, None
    if at is not None:
        times = table[:, read.index(at)]
        if _go_forward(times, surely=header.names[at].lower() != "t"):
            others = [place for place in kept if read[place] != at]
            if others:
                times_s, t0_ns = seconds_of(times.astype(np.float64), header.time_unit_s)
                kept = others if columns is None else kept
    return Recording(
        columns=tuple(header.names[read[place]] for place in kept),
        samples=narrowed(table[:, kept]),
        fs_hz=None,
        times_s=times_s,
        t0_ns=t0_ns,
        unitless=times_s is not None and t0_ns is None and header.time_unit_s is None,
    )


def _go_forward(times: Real, *, surely: bool) -> bool:
    """Return whether numbers can be times; unless `surely` named so, they must be a clock."""
    steps = np.diff(times)
    if len(steps) == 0 or not np.isfinite(times).all():
        return False
    if surely:  # some may jump backwards
        return bool(steps.any() and np.mean(steps >= 0) > MOSTLY)
    return bool((steps > 0).all())


def _columns(samples: Real, places: list[int]) -> Real:
    columns: Real = np.ascontiguousarray(samples[:, places])
    return columns


def _lines(file: TextIO, path: Path, warnings: list[str]) -> Iterator[str]:
    """Yield the lines of a file; a line longer than a row can be is an error."""
    number, previous = 0, ""
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise SourceError(f"{path}, line {number}: longer than {MAX_LINE} characters")
        if not line.endswith("\n") and any(line.count(s) < previous.count(s) for s in SEPARATORS):
            warnings.append(f"{path.name} ends in the middle of line {number}, which is omitted")
            return
        yield line
        previous = line


def _rate(line: str, where: str) -> float | None:
    found = _RATE.match(line)
    if found is None:
        return None
    try:
        rate = float(found[1])
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise SourceError(
            f"{where}: {found[1]!r} is not a sampling rate; a number is expected, such as 125"
        )
    return rate


def _table(block: list[tuple[int, str]], header: Header, name: str) -> Real:
    """Return the samples (time, channel) of numbered lines."""
    rows = [line for _, line in block]
    commas = len(header.names) - 1
    if header.separator == "," and "" not in rows and all(r.count(",") == commas for r in rows):
        # Six times as fast, but it rejects missing samples and quotes, and reports no line.
        with contextlib.suppress(ValueError):
            table = np.loadtxt(rows, delimiter=",", comments=None, ndmin=2, usecols=header.read)
            table[np.isinf(table)] = np.nan
            if not np.any(np.abs(table) > LARGEST):
                return table
    read = [_row(line, header, f"{name}, line {number}") for number, line in block]
    return np.array(read, dtype=np.float64)


def _row(line: str, header: Header, where: str) -> list[float]:
    fields, names = fields_of(line, header.separator), header.names
    if len(fields) != len(names):
        raise SourceError(
            f"{where}: {len(fields)} fields, {len(names)} expected, as many as there are names"
        )
    row: list[float] = []
    for at in header.read:
        number = number_of if at == header.time_at else float
        try:
            row.append(math.nan if fields[at] in MISSING else number(fields[at]))
        except ValueError:
            if at not in header.chosen:
                row.append(math.nan)  # then the column does not contain times
                continue
            others = [
                name
                for name, field in zip(names, fields, strict=True)
                if field in MISSING or is_number(field)
            ]
            text = f"{where}: {fields[at][:40]!r} in the column {names[at]} is not a number"
            if not others:
                raise SourceError(text) from None
            raise ChoiceNeededError(
                f"{text}; leave the column out with --channels {','.join(others)}",
                ((None, tuple(others)),),
            ) from None
    row = [math.nan if math.isinf(number) else number for number in row]
    if any(abs(number) > LARGEST for number in row):
        raise SourceError(f"{where}: a number is too large for a sample")
    return row
