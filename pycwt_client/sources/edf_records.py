"""EDF and BDF files that violate the format, and interrupted ones (EDF+D, BDF+D).

The driver rejects such files completely, so this module reads them record by record. It accepts
what other readers accept: Latin-1 text, numbers with a decimal comma or leading blanks, a number of
records that was never written (-1), an invalid date, and signals without a range, unless they are
selected. In an interrupted file each record states its begin, and the time between is a gap.

EDF+: Kemp & Olivan, Clin. Neurophysiol. 114 (2003) 1755, doi:10.1016/S1388-2457(03)00123-8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycwt_client.signals import Samples, nanoseconds
from pycwt_client.sources.channels import channels_of, legal_names
from pycwt_client.sources.places import Run
from pycwt_client.sources.source import (
    Annotation,
    Recorded,
    SourceError,
    SourceInfo,
    at_rate,
    one_rate,
    places_of,
)

__all__ = ["EdfRecords"]

FIXED_BYTES = 256
#: Widths of the fields of a signal, in order; each field is stored for all signals in a row.
FIELDS = {
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8,
    "digital_min": 8, "digital_max": 8, "filter": 80, "per_record": 8, "reserved": 32,
}  # fmt: skip
ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
#: Onset, optional duration, and texts, each terminated by a byte 20.
_MARK = re.compile(rb"([+-][0-9.]+)(?:\x15([0-9.]+))?\x14([^\0]*)\x14\0")
#: Two-digit years below this one are of this century, by EDF+.
CENTURY = 85


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A signal in the header."""

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    per_record: int
    #: Size of its samples in a record, bytes.
    offset: int

    @property
    def is_usable(self) -> bool:
        """Whether the header has a valid scale for its numbers."""
        low, high = self.digital
        finite = np.isfinite([*self.physical, *self.digital]).all()
        return (
            bool(finite)
            and low != high
            and self.physical[0] != self.physical[1]
            and self.per_record > 0
        )

    def scaled(self, counts: NDArray[np.int32]) -> NDArray[np.float64]:
        """Convert to physical values."""
        (low, high), (least, most) = self.digital, self.physical
        steps = counts.astype(np.float64) - low
        return least + steps * ((most - least) / (high - low))


class EdfRecords:
    """The records of a file.

    Raises
    ------
    SourceError
        The header is not valid.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        content = np.memmap(path, dtype=np.uint8, mode="r")
        fixed = bytes(content[:FIXED_BYTES]).decode("latin-1")
        self._bytes = 3 if fixed[:1] == "\xff" else 2
        n_signals, header_bytes = _whole(fixed[252:256]), _whole(fixed[184:192])
        self.record_s = _number(fixed[244:252])
        if n_signals < 1 or not self.record_s >= 0:
            raise SourceError(f"cannot read {path}: its header has no signals, or no record length")
        self._signals = self._read_signals(
            bytes(content[FIXED_BYTES : FIXED_BYTES * (n_signals + 1)]).decode("latin-1"), n_signals
        )
        record_bytes = sum(signal.per_record for signal in self._signals) * self._bytes
        present = max(len(content) - header_bytes, 0) // max(record_bytes, 1)
        stated = _whole(fixed[236:244])
        self.n_records = min(stated, present) if stated > 0 else present
        self.interrupted = fixed[192:197] in {"EDF+D", "BDF+D"}
        self.started = _started(fixed[168:184])
        self._records = content[header_bytes : header_bytes + present * record_bytes].reshape(
            present, max(record_bytes, 1)
        )[: self.n_records]
        if self.n_records == 0:
            raise SourceError(f"{path} ends before its first samples")
        self.warnings = tuple(self._warnings(stated, present))

    def _read_signals(self, header: str, n: int) -> list[Signal]:
        fields: dict[str, list[str]] = {}
        at = 0
        for name, width in FIELDS.items():
            fields[name] = [header[at + i * width : at + (i + 1) * width].strip() for i in range(n)]
            at += n * width
        found, offset = [], 0
        for place in range(n):
            per_record = max(_whole(fields["per_record"][place]), 0)
            found.append(
                Signal(
                    label=fields["label"][place],
                    unit=fields["unit"][place].replace("\xb5", "u"),
                    physical=_pair(fields, "physical", place),
                    digital=_pair(fields, "digital", place),
                    per_record=per_record,
                    offset=offset,
                )
            )
            offset += per_record * self._bytes
        return found

    def _warnings(self, stated: int, present: int) -> list[str]:
        name = self._path.name
        messages = []
        if stated > present:
            messages.append(
                f"{name} ends after {present} of the {stated} records that its header states"
            )
        elif stated < 1:
            messages.append(f"{name} was not finished by its recorder: its header states no length")
        unusable = [each.label or "without a name" for each in self._data if not each.is_usable]
        if unusable:
            messages.append(
                f"signals of {name} that have no range are omitted: {', '.join(unusable)}"
            )
        if self.started is None:
            messages.append(f"the header of {name} has no valid date")
        return messages

    @property
    def _data(self) -> list[Signal]:
        return [each for each in self._signals if each.label not in ANNOTATIONS]

    def recorded(
        self, channels: tuple[str, ...] | None, chunk_s: float, fs_hz: float | None
    ) -> Recorded:
        """Return the channels as an open source; None selects all readable ones."""
        data = self._data
        names = legal_names([each.label for each in data])
        usable = tuple(name for name, each in zip(names, data, strict=True) if each.is_usable)
        places = places_of(usable if channels is None else channels, names, self._path.name)
        chosen = [data[at] for at in places]
        for name, signal in zip(names, data, strict=True):
            if signal in chosen and not signal.is_usable:
                raise SourceError(f"cannot read {name} of {self._path}: its header has no range")
        if not chosen:
            raise SourceError(f"{self._path} has no signal to publish")
        stated_hz = self._one_rate([names[at] for at in places], chosen)
        rate, runs = fs_hz or stated_hz, self._runs(chosen[0].per_record, stated_hz)
        kind = "<f8" if self._bytes == 3 else "<f4"

        def read(start: int, stop: int) -> Samples:
            columns = [self._samples(signal, start, stop) for signal in chosen]
            samples: Samples = np.stack(columns, axis=1).astype(kind)
            return samples

        t0_ns = None
        if self.started is not None:
            t0_ns = nanoseconds(self.started) + round(self._onsets[0] * 1e9)
        info = SourceInfo(
            name=self._path.name,
            channels=channels_of([each.label for each in chosen], [each.unit for each in chosen]),
            fs_hz=rate,
            n_samples=runs[-1].next_sample,
            t0_ns=t0_ns,
            warnings=self.warnings,
            annotations=at_rate(self._annotations, stated_hz, rate),
        )
        return Recorded(info, read, chunk_s=chunk_s, t0_ns=t0_ns, runs=runs)

    def _one_rate(self, names: Sequence[str], chosen: Sequence[Signal]) -> float:
        if self.record_s == 0:
            raise SourceError(f"{self._path} has no sampling rate: its records are 0 s long")
        rates = [each.per_record / self.record_s for each in chosen]
        return one_rate(dict(zip(names, rates, strict=True)), self._path.name)

    def _samples(self, signal: Signal, start: int, stop: int) -> NDArray[np.float64]:
        per = signal.per_record
        first, last = start // per, -(-stop // per)
        size = per * self._bytes
        raw = np.ascontiguousarray(self._records[first:last, signal.offset : signal.offset + size])
        if self._bytes == 2:
            counts = raw.view("<i2").astype(np.int32).ravel()
        else:  # the sign is in the upper byte of three
            parts = raw.reshape(-1, 3).astype(np.int32)
            counts = (
                parts[:, 0] | parts[:, 1] << 8 | parts[:, 2].astype(np.int8).astype(np.int32) << 16
            )
        return signal.scaled(counts[start - first * per : stop - first * per])

    def _runs(self, per_record: int, fs_hz: float) -> list[Run]:
        onsets = self._onsets
        runs: list[Run] = []
        for record in range(self.n_records):
            first = round((onsets[record] - onsets[0]) * fs_hz)
            start = record * per_record
            last = runs[-1] if runs else None
            end = 0 if last is None else last.next_sample
            if last is not None and first <= end:
                runs[-1] = Run(
                    start=last.start, stop=start + per_record, first_sample=last.first_sample
                )
            else:
                runs.append(Run(start=start, stop=start + per_record, first_sample=first))
        return runs

    @cached_property
    def _marks(self) -> list[list[tuple[float, float, list[str]]]]:
        """Annotations by record, each with onset, duration and texts."""
        signals = [each for each in self._signals if each.label in ANNOTATIONS]
        found = []
        for record in self._records:
            marks = []
            for signal in signals:
                text = record[signal.offset : signal.offset + signal.per_record * self._bytes]
                for onset, duration, texts in _MARK.findall(bytes(text) + b"\0"):
                    words = [each.decode("utf-8", "replace") for each in texts.split(b"\x14")]
                    marks.append(
                        (_number(onset.decode()), _number(duration.decode() or "0"), words)
                    )
            found.append(marks)
        return found

    @cached_property
    def _onsets(self) -> list[float]:
        """Begin of each record, seconds from the start in the header."""
        regular = [record * self.record_s for record in range(self.n_records)]
        if not self.interrupted:
            return regular
        stated = [next((m[0] for m in marks if not m[2][0]), None) for marks in self._marks]
        return [
            other if each is None else each for each, other in zip(stated, regular, strict=True)
        ]

    @property
    def _annotations(self) -> tuple[Annotation, ...]:
        begin_s = self._onsets[0]
        return tuple(
            Annotation(onset_s=onset - begin_s, duration_s=duration, text=text)
            for marks in self._marks
            for onset, duration, texts in marks
            for text in texts
            if text
        )


def _number(text: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return float("nan")


def _whole(text: str) -> int:
    number = _number(text)
    return int(number) if np.isfinite(number) else 0


def _pair(fields: dict[str, list[str]], kind: str, place: int) -> tuple[float, float]:
    return _number(fields[f"{kind}_min"][place]), _number(fields[f"{kind}_max"][place])


def _started(text: str) -> datetime | None:
    """Parse a date and time ``dd.mm.yyhh.mm.ss``; None if it is not valid."""
    parts = re.findall(r"\d\d", text)
    if len(parts) != 6:
        return None
    day, month, year, hour, minute, second = map(int, parts)
    century = 1900 if year >= CENTURY else 2000
    try:
        return datetime(century + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
