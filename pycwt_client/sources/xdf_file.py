"""Extensible Data Format (XDF), written by the recorder of the Lab Streaming Layer.

A file is ``XDF:`` followed by chunks, each preceded by its length, so that a missing end is
detected. The recorder ends each stream with a footer that counts its samples.
"""

from __future__ import annotations

import gzip
import io
import logging
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cwt_schemas.limits import MAX_T0_NS
from pycwt_client.signals import Samples, nanoseconds
from pycwt_client.sources.channels import channels_of, labels_and_units
from pycwt_client.sources.file_source import FileSource
from pycwt_client.sources.places import GAP_S, Run, placed_by_time
from pycwt_client.sources.rate import rate_by, rate_warnings
from pycwt_client.sources.source import (
    CHUNK_S,
    NS,
    Annotation,
    ChoiceNeededError,
    MissingDriverError,
    Recorded,
    SourceError,
    SourceInfo,
)
from pycwt_client.sources.tables import TableOptions

__all__ = ["XdfSource"]

MAGIC = b"XDF:"
#: Possible sizes of the length of a chunk, and of the tag that it includes, bytes.
LENGTH_BYTES = (1, 4, 8)
TAG_BYTES = 2
#: Content of a boundary chunk, where reading resumes in a damaged file.
BOUNDARY = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
BLOCK_BYTES = 1 << 20

#: A stream as returned by the driver: nested lists of text under ``info``, and arrays.
Stream = dict[str, Any]


class XdfSource(FileSource):
    """One stream of an XDF file; time stamps show lost samples, which are gaps.

    The file is read completely. Its clocks are aligned as measured by the recorder, and each piece
    has the time stamp of its first sample. The date of the header is taken as that of the earliest
    sample; without it, the last sample is assumed to be taken now.

    Parameters
    ----------
    path
        The file.
    stream
        Name of the stream, or its number in the file; by default the only one with a rate.
    chunk_s
        Duration of a piece, seconds.
    gap_s
        Longest interval of two samples that is jitter and not a loss, seconds.
    fs_hz
        Sampling rate; overrides that of the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        stream: str | None = None,
        chunk_s: float = CHUNK_S,
        gap_s: float = GAP_S,
        fs_hz: float | None = None,
    ) -> None:
        super().__init__(path, TableOptions(fs_hz=fs_hz, chunk_s=chunk_s, gap_s=gap_s))
        self._stream = stream

    def _read(self) -> Recorded:
        streams, header, warnings = _loaded(self._path)
        stream = _chosen(streams, self._stream, self._path)
        samples, times_s = np.atleast_2d(stream["time_series"]), stream["time_stamps"]
        if len(times_s) == 0:
            raise SourceError(f"{self._path}: {_name(stream)} has no samples")
        fs_hz = self._options.fs_hz or _rate(stream)
        measured = rate_by(times_s)
        # The size of a gap depends on the actual rate of the device.
        gap_fs_hz = measured.fs_hz if measured and measured.differs_from(fs_hz) else fs_hz
        placement = placed_by_time(times_s, gap_fs_hz, self._options.gap_s)
        runs, times_s = placement.runs, placement.times_s
        warnings = (*warnings, *_footer_warnings(stream), *_wrong(placement.wrong, _name(stream)))
        earliest_s = min(each["time_stamps"][0] for each in streams if len(each["time_stamps"]))
        t0_ns = _start_ns(header, float(times_s[0] - earliest_s), float(times_s[-1] - times_s[0]))
        info = SourceInfo(
            name=_name(stream),
            channels=channels_of(*labels_and_units(stream["info"], samples.shape[1])),
            fs_hz=fs_hz,
            t0_ns=t0_ns,
            n_samples=runs[-1].next_sample,
            measured_fs_hz=measured.fs_hz if measured else None,
            warnings=(*warnings, *rate_warnings(_name(stream), measured, fs_hz)),
            annotations=_annotations(streams, times_s, runs, fs_hz),
        )

        def read(start: int, stop: int) -> Samples:
            piece: Samples = samples[start:stop]
            return piece

        return Recorded(
            info, read, chunk_s=self._options.chunk_s, t0_ns=t0_ns, runs=runs, stamps_s=times_s
        )


def _content(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the complete chunks of the file, decompressed, and a warning about a missing end."""
    packed = path.suffix == ".xdfz" or path.suffixes[-2:] == [".xdf", ".gz"]
    content = bytearray()
    cut = False
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                content += block
    except (EOFError, zlib.error):
        cut = True  # of a compressed file; the earlier data is complete
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from None
    if not content.startswith(MAGIC):
        raise SourceError(f"{path} is not an XDF file: it does not begin with {MAGIC.decode()}")
    end = _whole_chunks(content)
    if (
        end < len(content) and BOUNDARY not in content[end:]
    ):  # otherwise the driver continues from there
        cut = True
        del content[end:]
    warning = f"{path.name} ends in the middle of a chunk: the end of the recording is missing"
    return bytes(content), (warning,) if cut else ()


def _whole_chunks(content: bytearray) -> int:
    """Return the end of the last complete chunk."""
    at = len(MAGIC)
    while at < len(content):
        length_bytes = content[at]
        start = at + 1 + length_bytes
        if length_bytes not in LENGTH_BYTES:
            break  # the driver searches for the next valid chunk
        length = int.from_bytes(content[at + 1 : start], "little")
        if start > len(content) or length < TAG_BYTES or start + length > len(content):
            break
        at = start + length
    return at


def _loaded(path: Path) -> tuple[list[Stream], Stream, tuple[str, ...]]:
    """Return the streams, the file's header, and warnings about unreadable parts."""
    try:
        import pyxdf
    except ImportError:
        raise MissingDriverError("an XDF file", "xdf") from None
    content, warnings = _content(path)
    driver = logging.getLogger("pyxdf")
    driver.propagate = False  # its progress messages are not faults of the file
    faults = _Faults()
    driver.addHandler(faults)
    try:
        # The driver's removal of jitter closes gaps below a second.
        with np.errstate(all="ignore"):  # time stamps of a damaged file may be any numbers
            streams, header = pyxdf.load_xdf(io.BytesIO(content), dejitter_timestamps=False)
    except Exception as error:  # noqa: BLE001 - whatever its parser meets in a broken file
        reason = str(error) or type(error).__name__
        raise SourceError(f"cannot read {path} as XDF: {reason}") from None
    finally:
        driver.removeHandler(faults)
    if faults.count:
        text = f"parts of {path.name} cannot be read, and are omitted: the file is damaged"
        warnings = (*warnings, text)
    return streams, header or {}, warnings


class _Faults(logging.Handler):
    """Count the errors that the driver reports in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._thread = threading.get_ident()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.thread == self._thread


def _footer_warnings(stream: Stream) -> tuple[str, ...]:
    """Compare the samples of a stream with the recorder's count."""
    n, name = len(stream["time_stamps"]), _name(stream)
    try:
        counted = int(stream["footer"]["info"]["sample_count"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return (f"{name} has no footer: its recording was not finished, and may lack its end",)
    if counted == n:
        return ()
    return (f"{name} has {n} of the {counted} samples that its recorder counted",)


def _chosen(streams: list[Stream], name: str | None, path: Path) -> Stream:
    sampled = [each for each in streams if _is_sampled(each)]
    listing = ", ".join(map(_name, sampled)) or "none"
    found = [each for each in sampled if name in {None, _name(each), _id(each)}]
    if name is None:
        found = [each for each in found if len(each["time_stamps"])] or found
    if len(found) == 1:
        return found[0]
    if not found:
        missing = "no stream has a rate" if name is None else f"stream {name} does not exist"
        raise SourceError(f"{path}: {missing}; there are, of those with a rate: {listing}")
    names = [_name(each) for each in found]
    ids = [_name(each) if names.count(_name(each)) == 1 else _id(each) for each in found]
    which = "several streams have a rate" if name is None else f"several streams are called {name}"
    raise ChoiceNeededError(
        f"{path}: {which}, choose one, such as xdf:{path}#{ids[0]}; there are: " + ", ".join(names),
        tuple((f"xdf:{path}#{of}", None) for of in ids),
    )


def _id(stream: Stream) -> str:
    return str(stream["info"]["stream_id"])


def _wrong(stamps: int, name: str) -> tuple[str, ...]:
    if stamps == 0:
        return ()
    text = (
        f"{stamps} time stamps of {name} jump and come back: the samples are placed by their count"
    )
    return (text,)


def _annotations(
    streams: list[Stream], times_s: NDArray[np.float64], runs: Sequence[Run], fs_hz: float
) -> tuple[Annotation, ...]:
    """Return the markers in streams without a rate, each at the sample of its time.

    `times_s` are the times of all samples, and `runs` their positions.
    """
    positions = np.concatenate(
        [np.arange(run.first_sample, run.next_sample, dtype=np.float64) for run in runs]
    )

    def onset_s(time_s: float) -> float:
        outside_s = min(time_s - times_s[0], 0.0) + max(time_s - times_s[-1], 0.0)
        return float(np.interp(time_s, times_s, positions) / fs_hz + outside_s)

    marks = [
        Annotation(onset_s=onset_s(float(time_s)), duration_s=0.0, text=", ".join(map(str, values)))
        for stream in streams
        if _rate(stream) == 0
        for time_s, values in zip(stream["time_stamps"], stream["time_series"], strict=True)
    ]
    return tuple(sorted(marks, key=lambda mark: mark.onset_s))


def _rate(stream: Stream) -> float:
    return float(stream["info"]["nominal_srate"][0])


def _is_sampled(stream: Stream) -> bool:
    return _rate(stream) > 0 and stream["info"]["channel_format"][0] != "string"


def _name(stream: Stream) -> str:
    return str(stream["info"]["name"][0])


def _start_ns(header: Stream, after_s: float, length_s: float) -> int | None:
    """Return the time of the first sample; None if the header has no plausible date."""
    with suppress(
        KeyError, IndexError, TypeError, ValueError, OverflowError
    ):  # not every recorder writes it
        begun = datetime.fromisoformat(header["info"]["datetime"][0])
        zoned = begun if begun.tzinfo else begun.replace(tzinfo=UTC)
        t0_ns = nanoseconds(zoned) + round(after_s * NS)
        if 0 <= t0_ns <= MAX_T0_NS - round(length_s * NS):
            return t0_ns
    return None
