"""Recordings as text: columns separated by commas, one row per sample.

Rules
-----
- Lines that begin with ``#`` are remarks; ``# fs_hz=125`` gives the sampling rate.
- The first other line names the columns. Where it has semicolons or tabs, they separate the columns
  and a comma is the decimal one, as spreadsheets write it in much of Europe.
- An empty field, ``nan`` or ``NA`` is a missing sample.
- Fields may be in double quotes. A byte order mark is passed over.
- A name that ends in ``.gz`` is unpacked.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from anyio import to_thread

from pycwt_client.signals import Samples
from pycwt_client.sources.channels import channels_of
from pycwt_client.sources.source import CHUNK_S, Recorded, Signals, SourceError, SourceInfo

__all__ = ["CsvSource", "Recording", "parse_recording", "read_recording"]

#: Besides what Python reads as not a number.
MISSING = {"", "NA"}
#: What separates columns, the first that the line with their names has.
SEPARATORS = (";", "\t", ",")
#: The largest number that a sample can be.
LARGEST = float(np.finfo(np.float32).max)
_RATE = re.compile(r"#\s*fs_hz\s*=\s*(\S+)")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Samples of several channels at one rate."""

    columns: tuple[str, ...]
    #: (time, channel), little-endian float32 as devices send it; NaN is missing.
    samples: npt.NDArray[np.float32]
    #: None if the file does not say.
    fs_hz: float | None

    def selected(self, columns: tuple[str, ...]) -> Recording:
        """Return the recording with those columns alone, in that order."""
        unknown = [name for name in columns if name not in self.columns]
        if unknown:
            raise SourceError(
                f"no column is called {', '.join(unknown)}; there are {', '.join(self.columns)}"
            )
        places = [self.columns.index(name) for name in columns]
        return Recording(
            columns=columns,
            samples=np.ascontiguousarray(self.samples[:, places]),
            fs_hz=self.fs_hz,
        )

    def first(self, seconds: float, fs_hz: float) -> Recording:
        """Return the first `seconds` of it."""
        return Recording(
            columns=self.columns,
            samples=self.samples[: max(round(seconds * fs_hz), 1)],
            fs_hz=self.fs_hz,
        )

    def signals(
        self, fs_hz: float, *, name: str = "recording", chunk_s: float = CHUNK_S
    ) -> Recorded:
        """Return it as an open source at this rate."""
        info = SourceInfo(
            name=name,
            channels=channels_of(self.columns, [None] * len(self.columns)),
            fs_hz=fs_hz,
            n_samples=len(self.samples),
        )

        def read(start: int, stop: int) -> Samples:
            return self.samples[start:stop]

        return Recorded(info, read, chunk_s=chunk_s)


class CsvSource:
    """A file of comma-separated columns; the module says how it has to look.

    Parameters
    ----------
    path
        The file; may end in ``.gz``.
    fs_hz
        Its rate, whatever the file says.
    assumed_fs_hz
        Its rate, if neither `fs_hz` nor the file says.
    chunk_s
        Seconds in one piece.
    """

    def __init__(
        self,
        path: Path,
        *,
        fs_hz: float | None = None,
        assumed_fs_hz: float | None = None,
        chunk_s: float = CHUNK_S,
    ) -> None:
        self._path = path
        self._fs_hz = fs_hz
        self._assumed_fs_hz = assumed_fs_hz
        self._chunk_s = chunk_s

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Read the file, whole."""
        recording = await to_thread.run_sync(read_recording, self._path)
        given = (self._fs_hz, recording.fs_hz, self._assumed_fs_hz)
        fs_hz = next((each for each in given if each is not None), None)
        if fs_hz is None:
            raise SourceError(f"{self._path} does not say its rate: begin it with # fs_hz=125")
        if not 0 < fs_hz < math.inf:
            raise SourceError(f"{self._path}: {fs_hz:g} is no sampling rate")
        yield recording.signals(fs_hz, name=self._path.name, chunk_s=self._chunk_s)


def read_recording(path: Path) -> Recording:
    """Read the recording in a file.

    Raises
    ------
    SourceError
        It cannot be read; the message says where and why.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            return parse_recording(lines, str(path))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{path} is no complete gzip file: {error}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path} is no text file in UTF-8") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None


def parse_recording(lines: Iterable[str], name: str) -> Recording:
    """Read the lines of a recording; `name` is what a fault calls it."""
    columns: tuple[str, ...] = ()
    separator = ","
    fs_hz: float | None = None
    rows: list[list[float]] = []
    for number, raw in enumerate(lines, 1):
        line = raw.strip(" \r\n")
        if line.startswith("#"):
            fs_hz = _rate(line, f"{name}, line {number}") or fs_hz
        elif not columns and line:
            separator = next((each for each in SEPARATORS if each in line), ",")
            columns = _header(_fields(line, separator), f"{name}, line {number}")
        elif columns and (line or len(columns) == 1):
            rows.append(_row(_fields(line, separator), columns, f"{name}, line {number}"))
    if not rows:
        raise SourceError(f"{name} has no samples")
    return Recording(columns=columns, samples=np.array(rows, dtype="<f4"), fs_hz=fs_hz)


def _rate(line: str, where: str) -> float | None:
    found = _RATE.match(line)
    if found is None:
        return None
    try:
        rate = float(found[1])
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise SourceError(f"{where}: {found[1]!r} is no sampling rate")
    return rate


def _fields(line: str, separator: str) -> list[str]:
    """Return the fields of a line, with a point in numbers whatever the separator is."""
    if '"' in line:
        fields = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    else:
        fields = line.split(separator)
    plain = [field.strip() for field in fields]
    return plain if separator == "," else [field.replace(",", ".") for field in plain]


def _header(fields: list[str], where: str) -> tuple[str, ...]:
    columns = tuple(fields)
    if not all(columns) or len(set(columns)) < len(columns) or any(map(_is_number, columns)):
        raise SourceError(
            f"{where}: a line with the columns' names is expected before the samples, "
            "such as ecg,abp",
        )
    return columns


def _row(fields: list[str], columns: tuple[str, ...], where: str) -> list[float]:
    if len(fields) != len(columns):
        raise SourceError(f"{where}: {len(fields)} fields, {len(columns)} expected")
    try:
        row = [math.nan if field in MISSING else float(field) for field in fields]
    except ValueError:
        wrong = next(f for f in fields if f not in MISSING and not _is_number(f))
        raise SourceError(f"{where}: {wrong[:40]!r} is no number") from None
    if any(map(math.isinf, row)):
        raise SourceError(f"{where}: infinity is no sample; leave a missing one empty")
    if max(map(abs, row)) > LARGEST:
        raise SourceError(f"{where}: a number is too large for a sample")
    return row


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
