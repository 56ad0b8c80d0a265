"""Find the header of the table in a text file, and the names of its columns.

Most files begin with a line of names. Some acquisition programs write other lines before it, and
some write no names. The following lines distinguish these cases: rows have as many fields as the
line of names, and the fields are numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pycwt_client.sources.channels import legal_names
from pycwt_client.sources.source import SourceError, places_of
from pycwt_client.sources.tables import time_name

__all__ = [
    "HEAD_LINES",
    "MISSING",
    "SEPARATORS",
    "Head",
    "Header",
    "fields_of",
    "is_number",
    "number_of",
    "read_head",
]

#: Number of lines in which the table must begin.
HEAD_LINES = 100
#: Number of rows that must match the header.
ROWS = 2
#: Missing values, in addition to Python's spellings of NaN.
MISSING = {"", "NA"}
#: Separators of columns; the first one in the line of names is used.
SEPARATORS = (";", "\t", ",")
_RATE = re.compile(r"\bsampl\w*[ _-]*(?:rate|freq\w*)\D*?([0-9]+(?:[.,][0-9]+)?)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Header:
    """Names of the columns, and the selection to read."""

    names: tuple[str, ...]
    chosen: tuple[int, ...]
    separator: str
    #: Index of the column that may have times, and the seconds of its unit if its name gives it.
    time_at: int | None = None
    time_unit_s: float | None = None

    @property
    def read(self) -> tuple[int, ...]:
        """Indices of the columns to read: the selected ones, and the one that may have times."""
        if self.time_at is None or self.time_at in self.chosen:
            return self.chosen
        return (*self.chosen, self.time_at)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The beginning of a file."""

    header: Header
    #: Number of lines before the rows.
    lines: int
    #: Sampling rate stated before the table.
    fs_hz: float | None
    warnings: tuple[str, ...]


def read_head(lines: Sequence[tuple[int, str]], columns: tuple[str, ...] | None, name: str) -> Head:
    """Find the line of names in the first numbered lines of a file.

    Raises
    ------
    SourceError
        There is none, or it does not have the selected columns.
    """
    at = _names_at([line for _, line in lines])
    if at is None:
        return _nameless(lines, columns, name)
    number, line = lines[at]
    warnings: tuple[str, ...] = ()
    fs_hz = None
    if at > 0:
        warnings = (f"{name} has its names in line {number}: the lines before it are skipped",)
        fs_hz = next((_stated(text) for _, text in lines[:at] if _stated(text)), None)
    header = _header(
        fields_of(line, separator_of(line)), separator_of(line), columns, f"{name}, line {number}"
    )
    return Head(header=header, lines=at + 1, fs_hz=fs_hz, warnings=warnings)


def _names_at(lines: Sequence[str]) -> int | None:
    """Return the index of the line of names; None if the first line is a row."""
    if not lines:
        return 0
    found = next((at for at in range(len(lines)) if _begins_table(lines, at)), None)
    if found is not None:
        return found
    fields = fields_of(lines[0], separator_of(lines[0]))
    return None if all(each in MISSING or is_number(each) for each in fields) else 0


def _begins_table(lines: Sequence[str], at: int) -> bool:
    """Return whether the line has names, and the next ones have as many numbers."""
    separator = separator_of(lines[at])
    names = fields_of(lines[at], separator)
    if any(map(is_number, names)) or all(each in MISSING for each in names):
        return False
    rows = [fields_of(line, separator) for line in lines[at + 1 : at + 1 + ROWS]]
    return bool(rows) and all(
        len(row) == len(names) and any(each in MISSING or is_number(each) for each in row)
        for row in rows
    )


def _nameless(lines: Sequence[tuple[int, str]], columns: tuple[str, ...] | None, name: str) -> Head:
    separator = separator_of(lines[0][1])
    fields = fields_of(lines[0][1], separator)
    header = _header([""] * len(fields), separator, columns, name)
    message = f"{name} has no line with names: its channels are {', '.join(header.names[:4])}"
    if len(header.names) > 4:
        message += ", ..."
    return Head(header=header, lines=0, fs_hz=None, warnings=(message,))


def _header(
    fields: list[str], separator: str, columns: tuple[str, ...] | None, where: str
) -> Header:
    number = next((field for field in fields if is_number(field)), None)
    if number is not None:
        raise SourceError(
            f"{where}: {number!r} is a number; a line with the columns' names is expected before "
            "the samples, such as ecg,abp"
        )
    names = legal_names(fields)
    chosen = range(len(names)) if columns is None else places_of(columns, names, where)
    times = [(at, time_name(field)) for at, field in enumerate(fields)]
    time_at, (_, unit_s) = next((each for each in times if each[1][0]), (None, (False, None)))
    return Header(
        names=names,
        chosen=tuple(chosen),
        separator=separator,
        time_at=time_at,
        time_unit_s=unit_s,
    )


def _stated(line: str) -> float | None:
    found = _RATE.search(line)
    rate = float(found[1].replace(",", ".")) if found else 0.0
    return rate or None


def separator_of(line: str) -> str:
    """Return the separator of the fields of a line."""
    return next((each for each in SEPARATORS if each in line), ",")


def fields_of(line: str, separator: str) -> list[str]:
    """Return the fields of a line, with a decimal point in numbers."""
    if '"' in line:
        fields = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    else:
        fields = line.split(separator)
    plain = [field.strip() for field in fields]
    return plain if separator == "," else [field.replace(",", ".") for field in plain]


def is_number(field: str) -> bool:
    """Return whether a field is a number or a date."""
    try:
        number_of(field)
    except ValueError:
        return False
    return True


def number_of(field: str) -> float:
    """Return a number, or a date as seconds since 1970 (UTC by default)."""
    try:
        return float(field)
    except ValueError:
        date = datetime.fromisoformat(field)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
