"""European Data Format, EDF, EDF+ and BDF: polysomnograms, EEG, ECG."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycwt_client.signals import Samples, nanoseconds
from pycwt_client.sources.channels import channels_of, legal_names
from pycwt_client.sources.edf_records import EdfRecords
from pycwt_client.sources.file_source import ChannelFileSource
from pycwt_client.sources.source import (
    CHUNK_S,
    Annotation,
    MissingDriverError,
    Recorded,
    SourceError,
    SourceInfo,
    at_rate,
    one_rate,
    places_of,
)
from pycwt_client.sources.tables import TableOptions

if TYPE_CHECKING:
    from pyedflib import EdfReader

__all__ = ["EdfSource"]

#: Size of the file's part of the header, and of the part per signal, bytes.
FIXED_BYTES = 256
#: Offset in the latter of the fields with the number of samples per record.
PER_RECORD_AT = 216
MAX_SIGNALS = 10_000
EDF_BYTES, BDF_BYTES = 2, 3


class EdfSource(ChannelFileSource):
    """An EDF(+) or BDF(+) file, in physical units: EDF in float32, BDF in float64.

    A stream has one rate: if the signals have several, `channels` must select those of one. The
    start time of the header, which has no time zone, is taken as UTC. From a file that ends before
    its header states, the complete records are read. Files that the driver rejects, such as
    interrupted ones (EDF+D), are read by `EdfRecords`.

    Parameters
    ----------
    path
        The file.
    channels
        Signals to read, by their labels as names (``EEG Fpz-Cz`` is ``EEG_Fpz-Cz``); None reads
        all.
    chunk_s
        Duration of a piece, seconds.
    fs_hz
        Sampling rate of those signals; overrides that of the header.
    """

    def __init__(
        self,
        path: Path,
        *,
        channels: tuple[str, ...] | None = None,
        chunk_s: float = CHUNK_S,
        fs_hz: float | None = None,
    ) -> None:
        super().__init__(path, TableOptions(fs_hz=fs_hz, chunk_s=chunk_s), channels=channels)

    def _read(self) -> Recorded:
        try:
            reader, layout = _opened(self._path)
        except RefusedError as refused:
            return self._read_records(str(refused))
        with ExitStack() as files:
            files.callback(reader.close)
            recorded = self._recorded(reader, layout)
            files.pop_all()
        return recorded

    def _recorded(self, reader: EdfReader, layout: Layout) -> Recorded:
        names = legal_names(reader.getSignalLabels())
        selected = self._channels or names
        places = places_of(selected, names, self._path.name)
        rates = {names[at]: float(reader.getSampleFrequency(at)) for at in places}
        stated_hz = one_rate(rates, self._path.name)
        n_samples = min(int(reader.getNSamples()[at]) for at in places)
        fs_hz = self._options.fs_hz or stated_hz
        n_samples = n_samples * layout.records // layout.stated
        sample_type = "<f8" if layout.sample_bytes == BDF_BYTES else "<f4"
        started = reader.getStartdatetime().replace(tzinfo=UTC)
        labels = [reader.getSignalLabels()[at] for at in places]
        info = SourceInfo(
            name=self._path.name,
            channels=channels_of(labels, [reader.getPhysicalDimension(at) for at in places]),
            fs_hz=fs_hz,
            n_samples=n_samples,
            t0_ns=nanoseconds(started),
            warnings=layout.warnings(self._path.name, n_samples / fs_hz),
            annotations=at_rate(_annotations(reader), stated_hz, fs_hz),
        )

        def read(start: int, stop: int) -> Samples:
            columns = [reader.readSignal(at, start, stop - start) for at in places]
            return np.stack(columns, axis=1).astype(sample_type)

        return Recorded(
            info, read, chunk_s=self._options.chunk_s, t0_ns=info.t0_ns, close=reader.close
        )

    def _read_records(self, refusal: str) -> Recorded:
        """Read without the driver; if that fails as well, raise the driver's error."""
        try:
            records = EdfRecords(self._path)
        except ValueError:
            raise SourceError(refusal) from None
        return records.recorded(self._channels, self._options.chunk_s, self._options.fs_hz)


class RefusedError(SourceError):
    """The driver rejects the file, which violates the format."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Number of records that the file has, and that its header states."""

    sample_bytes: int
    stated: int
    present: int

    @property
    def records(self) -> int:
        """Number of readable records."""
        return min(self.stated, self.present)

    def warnings(self, name: str, present_s: float) -> tuple[str, ...]:
        """Return a warning about missing records, if any."""
        if self.present >= self.stated:
            return ()
        stated_s = present_s * self.stated / self.present
        text = (
            f"{name} ends after {present_s:g} s of the {stated_s:g} s that its header states: "
            f"{self.stated - self.present} of {self.stated} records are missing"
        )
        return (text,)


def _layout(path: Path) -> Layout:
    """Read the size of the file from its header.

    Raises
    ------
    SourceError
        The header is not valid, or the file has no signals or no complete record.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            fixed = file.read(FIXED_BYTES)
            sample_bytes = BDF_BYTES if fixed[:1] == b"\xff" else EDF_BYTES
            signals = int(fixed[252:256])
            fields = file.read(FIXED_BYTES * signals) if 0 < signals <= MAX_SIGNALS else b""
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise SourceError(f"{path} is not an EDF or BDF file: its header has no numbers") from None
    try:
        per_record = fields[PER_RECORD_AT * signals : (PER_RECORD_AT + 8) * signals]
        samples = sum(int(per_record[at : at + 8]) for at in range(0, 8 * signals, 8))
        header_bytes, stated = int(fixed[184:192]), int(fixed[236:244])
    except ValueError:
        raise SourceError(f"{path} ends in its header, or its header is not valid") from None
    record_bytes = max(samples * sample_bytes, 1)
    layout = Layout(
        sample_bytes=sample_bytes,
        stated=max(stated, 1),
        present=max(size - header_bytes, 0) // record_bytes,
    )
    if layout.present == 0:
        raise SourceError(f"{path} ends before its first samples")
    return layout


def _opened(path: Path) -> tuple[EdfReader, Layout]:
    try:
        import pyedflib
    except ImportError:
        raise MissingDriverError("an EDF file", "edf") from None
    layout = _layout(path)
    # The driver reads to the end for annotations, and rejects a truncated file.
    complete = layout.present >= layout.stated
    annotations = pyedflib.READ_ALL_ANNOTATIONS if complete else pyedflib.DO_NOT_READ_ANNOTATIONS
    try:
        reader = pyedflib.EdfReader(str(path), annotations, pyedflib.DO_NOT_CHECK_FILE_SIZE)
    except OSError as error:
        raise RefusedError(str(error)) from None
    if reader.signals_in_file == 0:
        reader.close()
        raise SourceError(f"{path} has only annotations, and no signal to publish")
    return reader, layout


def _annotations(reader: EdfReader) -> tuple[Annotation, ...]:
    marks = zip(*reader.readAnnotations(), strict=True)
    return tuple(
        Annotation(onset_s=float(onset_s), duration_s=max(float(duration_s), 0.0), text=str(text))
        for onset_s, duration_s, text in marks
    )
