"""A source by its name, such as ``edf:night.edf`` or ``lsl:EEG``.

======================================  ================================================
``csv:FILE`` ``wav:FILE`` ``edf:FILE``  a recording
``xdf:FILE`` ``xdf:FILE#STREAM``        one stream of an XDF file
``lsl:NAME`` ``lsl:type=EEG``           a stream on the network
``brainflow:BOARD,serial_port=...``     a board, and what it takes to reach it
======================================  ================================================

A name without a kind is a file, whose ending says the kind.
"""

from __future__ import annotations

from pathlib import Path

from pycwt_client.sources.brainflow_board import BrainflowSource
from pycwt_client.sources.csv_file import CsvSource
from pycwt_client.sources.edf_file import EdfSource
from pycwt_client.sources.lsl_inlet import LslSource
from pycwt_client.sources.source import CHUNK_S, LIVE_CHUNK_S, Selected, Source, SourceError
from pycwt_client.sources.wav_file import WavSource
from pycwt_client.sources.xdf_file import XdfSource

__all__ = ["KINDS", "named_source"]

KINDS = ("csv", "wav", "edf", "xdf", "lsl", "brainflow")
#: Endings of files, and their kind; any other is text.
ENDINGS = {
    ".wav": "wav",
    ".edf": "edf",
    ".bdf": "edf",
    ".xdf": "xdf",
    ".xdfz": "xdf",
}


def named_source(
    name: str,
    *,
    channels: tuple[str, ...] | None = None,
    chunk_s: float | None = None,
    fs_hz: float | None = None,
    assumed_fs_hz: float | None = None,
) -> Source:
    """Return the source of that name.

    Parameters
    ----------
    name
        As in the table above.
    channels
        Channels to read, in that order; None: all.
    chunk_s
        Seconds in one piece; None: 0.2 of a recording, 0.02 of a device.
    fs_hz, assumed_fs_hz
        Of text, whose rate may not be in the file; see `CsvSource`.

    Raises
    ------
    SourceError
        There is no such kind, or no such file.
    """
    kind, where = _split(name)
    _check_there(kind, where)
    if kind == "edf":  # which of its signals decides at what rate
        return EdfSource(Path(where), channels=channels, chunk_s=chunk_s or CHUNK_S)
    source = _source(kind, where, chunk_s, fs_hz, assumed_fs_hz)
    return source if channels is None else Selected(source, channels)


def _split(name: str) -> tuple[str, str]:
    kind, colon, where = name.partition(":")
    if colon and where and kind in KINDS:
        return kind, where
    if Path(name).exists() or not colon:
        return ENDINGS.get(Path(name).suffix.lower(), "csv"), name
    raise SourceError(f"{name} is no source: it begins with one of {', '.join(KINDS)} and a colon")


def _check_there(kind: str, where: str) -> None:
    if kind not in {"lsl", "brainflow"}:
        path = where.partition("#")[0] if kind == "xdf" else where
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None


def _source(
    kind: str,
    where: str,
    chunk_s: float | None,
    fs_hz: float | None,
    assumed_fs_hz: float | None,
) -> Source:
    match kind:
        case "wav":
            return WavSource(Path(where), chunk_s=chunk_s or CHUNK_S)
        case "xdf":
            path, _, stream = where.partition("#")
            return XdfSource(Path(path), stream=stream or None, chunk_s=chunk_s or CHUNK_S)
        case "lsl":
            return LslSource(where, chunk_s=chunk_s or LIVE_CHUNK_S)
        case "brainflow":
            board, *given = where.split(",")
            parameters = dict(_parameter(each) for each in given)
            return BrainflowSource(board, parameters, chunk_s=chunk_s or LIVE_CHUNK_S)
        case _:
            return CsvSource(
                Path(where), fs_hz=fs_hz, assumed_fs_hz=assumed_fs_hz, chunk_s=chunk_s or CHUNK_S
            )


def _parameter(given: str) -> tuple[str, str]:
    field, equals, value = given.partition("=")
    if not equals:
        raise SourceError(f"{given} is no parameter of a board: write it as serial_port=/dev/tty0")
    return field.strip(), value.strip()
