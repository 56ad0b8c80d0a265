"""Extensible Data Format, what the recorder of the Lab Streaming Layer writes."""

from __future__ import annotations

import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from anyio import to_thread

from pycwt_client.signals import Samples, nanoseconds
from pycwt_client.sources.channels import channels_of, labels_and_units
from pycwt_client.sources.places import GAP_S, ByTime
from pycwt_client.sources.source import (
    CHUNK_S,
    MissingDriverError,
    Recorded,
    Signals,
    SourceError,
    SourceInfo,
)

__all__ = ["XdfSource"]

MAGIC = b"XDF:"

#: A stream as the driver returns it: nested lists of text under ``info``, arrays beside it.
Stream = dict[str, Any]


class XdfSource:
    """One stream of an XDF file; lost samples, told by the time stamps, are gaps.

    The file is read whole. Its clocks are put together as the recorder measured them; the header's
    date is taken as that of the earliest sample.

    Parameters
    ----------
    path
        The file.
    stream
        Name of the stream; None: the only one with a rate.
    chunk_s
        Seconds in one piece.
    gap_s
        Longest step between two samples that is jitter and no loss.
    """

    def __init__(
        self,
        path: Path,
        *,
        stream: str | None = None,
        chunk_s: float = CHUNK_S,
        gap_s: float = GAP_S,
    ) -> None:
        self._path = path
        self._stream = stream
        self._chunk_s = chunk_s
        self._gap_s = gap_s

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Read the file."""
        streams, header = await to_thread.run_sync(_read, self._path)
        stream = _chosen(streams, self._stream, self._path)
        samples, times_s = np.atleast_2d(stream["time_series"]), stream["time_stamps"]
        if len(times_s) == 0:
            raise SourceError(f"{self._path}: {_name(stream)} has no samples")
        fs_hz = float(stream["info"]["nominal_srate"][0])
        runs = ByTime(fs_hz, self._gap_s).place(times_s)
        info = SourceInfo(
            name=_name(stream),
            channels=channels_of(*labels_and_units(stream["info"], samples.shape[1])),
            fs_hz=fs_hz,
            n_samples=runs[-1].first_sample + runs[-1].stop - runs[-1].start,
        )

        def read(start: int, stop: int) -> Samples:
            piece: Samples = samples[start:stop]
            return piece

        earliest_s = min(each["time_stamps"][0] for each in streams if len(each["time_stamps"]))
        t0_ns = _start_ns(header, float(times_s[0] - earliest_s))
        yield Recorded(info, read, chunk_s=self._chunk_s, t0_ns=t0_ns, runs=runs)


def _read(path: Path) -> tuple[list[Stream], Stream]:
    try:
        import pyxdf
    except ImportError:
        raise MissingDriverError("an XDF file", "xdf") from None
    _check_magic(path)  # the driver leaves a file open that does not begin so
    # What it tells of its own progress is no fault of the file.
    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    try:
        # Its own removal of jitter closes gaps below a second.
        streams, header = pyxdf.load_xdf(str(path), dejitter_timestamps=False)
    except Exception as error:  # noqa: BLE001 - whatever its parser meets in a file that is none
        reason = str(error) or type(error).__name__
        raise SourceError(f"{path} is no XDF file that can be read: {reason}") from None
    return streams, header


def _check_magic(path: Path) -> None:
    packed = path.suffix == ".xdfz" or path.suffixes[-2:] == [".xdf", ".gz"]
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    if magic != MAGIC:
        raise SourceError(f"{path} is no XDF file: it does not begin with {MAGIC.decode()}")


def _chosen(streams: list[Stream], name: str | None, path: Path) -> Stream:
    sampled = [each for each in streams if _is_sampled(each)]
    told = ", ".join(map(_name, sampled)) or "none"
    found = [each for each in sampled if name in {None, _name(each)}]
    if len(found) != 1:
        which = "which stream?" if name is None else f"no single stream is called {name}."
        raise SourceError(f"{path}: {which} There are, of those with a rate: {told}")
    return found[0]


def _is_sampled(stream: Stream) -> bool:
    return (
        float(stream["info"]["nominal_srate"][0]) > 0
        and stream["info"]["channel_format"][0] != "string"
    )


def _name(stream: Stream) -> str:
    return str(stream["info"]["name"][0])


def _start_ns(header: Stream, after_s: float) -> int | None:
    with suppress(KeyError, IndexError, TypeError, ValueError):  # not every recorder writes it
        begun = datetime.fromisoformat(header["info"]["datetime"][0])
        zoned = begun if begun.tzinfo else begun.replace(tzinfo=UTC)
        return nanoseconds(zoned) + round(after_s * 1e9)
    return None
