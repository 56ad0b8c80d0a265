"""Recordings as text: comma-separated columns, one row per sample.

Rules
-----
- Lines that begin with ``#`` are remarks; ``# fs_hz=125`` gives the sampling rate.
- The first other line names the columns.
- An empty field, or ``nan``, is a missing sample.
- A name that ends in ``.gz`` is unpacked.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cli.faults import USAGE, CommandError

__all__ = ["Recording", "parse_recording", "read_recording"]

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
            raise CommandError(
                f"no column is called {', '.join(unknown)}; there are {', '.join(self.columns)}",
                USAGE,
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


def read_recording(path: Path) -> Recording:
    """Read the recording in a file.

    Raises
    ------
    CommandError
        It cannot be read; the message says where and why.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            return parse_recording(lines, str(path))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CommandError(f"{path} is no complete gzip file: {error}", USAGE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no text file in UTF-8", USAGE) from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", USAGE) from None


def parse_recording(lines: Iterable[str], name: str) -> Recording:
    """Read the lines of a recording; `name` is what a fault calls it."""
    columns: tuple[str, ...] = ()
    fs_hz: float | None = None
    rows: list[list[float]] = []
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if line.startswith("#"):
            fs_hz = _rate(line, f"{name}, line {number}") or fs_hz
        elif not columns:
            columns = _header(line, f"{name}, line {number}")
        elif line or len(columns) == 1:
            rows.append(_row(line, columns, f"{name}, line {number}"))
    if not rows:
        raise CommandError(f"{name} has no samples", USAGE)
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
        raise CommandError(f"{where}: {found[1]!r} is no sampling rate", USAGE)
    return rate


def _header(line: str, where: str) -> tuple[str, ...]:
    columns = tuple(field.strip() for field in line.split(","))
    if not all(columns) or len(set(columns)) < len(columns) or any(map(_is_number, columns)):
        raise CommandError(
            f"{where}: a line with the columns' names is expected before the samples, "
            "such as ecg,abp",
            USAGE,
        )
    return columns


def _row(line: str, columns: tuple[str, ...], where: str) -> list[float]:
    fields = line.split(",")
    if len(fields) != len(columns):
        raise CommandError(f"{where}: {len(fields)} fields, {len(columns)} expected", USAGE)
    try:
        row = [float(field) if field.strip() else math.nan for field in fields]
    except ValueError:
        wrong = next(f for f in fields if f.strip() and not _is_number(f))
        raise CommandError(f"{where}: {wrong.strip()[:40]!r} is no number", USAGE) from None
    if any(map(math.isinf, row)):
        raise CommandError(f"{where}: infinity is no sample; leave a missing one empty", USAGE)
    return row


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
