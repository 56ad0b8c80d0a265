"""PhysioNet records: a header ``.hea`` next to files of samples, read by the package ``wfdb``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycwt_client.signals import Samples, nanoseconds
from pycwt_client.sources.channels import channels_of, legal_names
from pycwt_client.sources.file_source import ChannelFileSource
from pycwt_client.sources.source import (
    Annotation,
    MissingDriverError,
    Recorded,
    SourceError,
    SourceInfo,
    at_rate,
    places_of,
)
from pycwt_client.sources.tables import TableOptions

if TYPE_CHECKING:
    from wfdb.io.record import Record

__all__ = ["WfdbSource"]

#: Suffix of the file with annotations of beats and rhythms.
ANNOTATIONS = "atr"

#: Number of samples to read together. Each call of the driver parses the header again, which takes
#: longer than reading the samples of a piece.
BLOCK_SAMPLES = 1 << 15

#: Formats with more bits than float32.
WIDE = {"24", "32", "524", "532"}


class WfdbSource(ChannelFileSource):
    """A record in physical units; invalid samples are missing.

    The date of the header, if any, is taken as UTC. Beats and rhythms in a file ``.atr`` next to it
    are annotations.

    Parameters
    ----------
    path
        The header, with or without its suffix ``.hea``.
    channels
        Signals to read, by their names (``MLII``); None reads all.
    """

    def _read(self) -> Recorded:
        return _opened(self._path, self._channels, self._options)


def _opened(path: Path, channels: tuple[str, ...] | None, options: TableOptions) -> Recorded:
    record = path.with_suffix("") if path.suffix == ".hea" else path
    try:
        with _quiet():
            import wfdb  # noqa: F401 - whether it is there
    except ImportError:
        raise MissingDriverError("a WFDB record", "wfdb") from None
    n_samples = _length(record)
    head = _read(record, 0, 1)
    if not head.sig_name:
        raise SourceError(f"{path} has no signals")
    labels = [str(each or "") for each in head.sig_name]
    names = legal_names(labels)
    places = places_of(names if channels is None else channels, names, path.name)
    fs_hz = options.fs_hz or float(head.fs)
    sample_type = "<f8" if WIDE.intersection(head.fmt or ()) else "<f4"

    begun = head.base_datetime
    t0_ns = None if begun is None else nanoseconds(begun.replace(tzinfo=UTC))
    info = SourceInfo(
        name=record.name,
        channels=channels_of([labels[at] for at in places], [head.units[at] for at in places]),
        fs_hz=fs_hz,
        n_samples=n_samples,
        t0_ns=t0_ns,
        annotations=at_rate(_annotations(record, float(head.fs)), float(head.fs), fs_hz),
    )
    blocks = _Blocks(record, places, n_samples, sample_type)
    return Recorded(info, blocks.read, chunk_s=options.chunk_s, t0_ns=t0_ns)


class _Blocks:
    """The samples of a record, read in blocks; the latest block is cached."""

    def __init__(self, record: Path, places: list[int], n_samples: int, sample_type: str) -> None:
        self._record = record
        self._places = places
        self._n_samples = n_samples
        self._sample_type = sample_type
        self._begin = 0
        self._block: Samples = np.empty((0, len(places)), sample_type)

    def read(self, start: int, stop: int) -> Samples:
        if start < self._begin or stop > self._begin + len(self._block):
            end = min(max(stop, start + BLOCK_SAMPLES), self._n_samples)
            samples = _read(self._record, start, end).p_signal[:, self._places]
            self._begin, self._block = start, samples.astype(self._sample_type)
        return self._block[start - self._begin : stop - self._begin]


def _read(record: Path, start: int, stop: int) -> Record:
    from wfdb import rdrecord

    try:
        with _quiet():
            return rdrecord(str(record), sampfrom=start, sampto=stop)
    except Exception as error:  # noqa: BLE001 - whatever its parser meets in a broken record
        raise SourceError(f"cannot read {record} as a WFDB record: {_reason(error)}") from None


def _length(record: Path) -> int:
    """Return the number of samples that the header states and the files have."""
    from wfdb import rdheader

    try:
        with _quiet():
            stated = rdheader(str(record)).sig_len
    except Exception as error:  # noqa: BLE001 - whatever its parser meets in a broken header
        raise SourceError(f"cannot read {record} as a WFDB record: {_reason(error)}") from None
    if not stated:
        raise SourceError(
            f"cannot read {record} as a WFDB record: its header does not state how many samples "
            "there are"
        )
    _read(record, stated - 1, stated)  # reports a truncated file here instead of in the middle
    return int(stated)


def _annotations(record: Path, fs_hz: float) -> tuple[Annotation, ...]:
    from wfdb import rdann

    if not record.with_name(f"{record.name}.{ANNOTATIONS}").exists():
        return ()
    try:
        with _quiet():
            found = rdann(str(record), ANNOTATIONS)
    except Exception as error:  # noqa: BLE001
        raise SourceError(f"cannot read {record}.{ANNOTATIONS}: {_reason(error)}") from None
    notes = found.aux_note or [""] * len(found.sample)
    return tuple(
        Annotation(
            onset_s=float(sample) / (found.fs or fs_hz),
            duration_s=0.0,
            text=f"{symbol} {note}".strip("\0 "),
        )
        for sample, symbol, note in zip(found.sample, found.symbol, notes, strict=True)
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings about the driver's own use of other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
