"""Create a source by its name, such as ``edf:night.edf`` or ``lsl:EEG``.

======================================  ================================================
``csv:FILE`` ``wav:FILE`` ``edf:FILE``  a recording
``xdf:FILE`` ``xdf:FILE#STREAM``        one stream of an XDF file
``numpy:FILE`` ``parquet:FILE``         arrays and tables
``openbci:FILE`` ``empatica:FILE``      text of the OpenBCI GUI, of an Empatica E4
``wfdb:RECORD`` ``mseed:FILE``          a PhysioNet record, seismic records
``mne:FILE``                            BrainVision, EEGLAB, FIF and what else MNE reads
``lsl:NAME`` ``lsl:type=EEG``           a stream on the network, or by several properties
``brainflow:BOARD,serial_port=...``     a board, and what it takes to reach it
======================================  ================================================

A name without a kind is a file: the suffix determines its kind, or for text the first lines.
"""

from __future__ import annotations

import re
from pathlib import Path

from pycwt_client.sources.brainflow_board import BrainflowSource
from pycwt_client.sources.csv_file import CsvSource
from pycwt_client.sources.edf_file import EdfSource
from pycwt_client.sources.empatica_file import EmpaticaSource, is_empatica
from pycwt_client.sources.lsl_inlet import LslSource
from pycwt_client.sources.mne_file import MneSource
from pycwt_client.sources.mseed_file import MseedSource
from pycwt_client.sources.numpy_file import NumpySource
from pycwt_client.sources.openbci_file import MAGIC as OPENBCI
from pycwt_client.sources.openbci_file import OpenBciSource
from pycwt_client.sources.parquet_file import ParquetSource
from pycwt_client.sources.source import CHUNK_S, LIVE_CHUNK_S, Selected, Source, SourceError
from pycwt_client.sources.tables import TableOptions
from pycwt_client.sources.wav_file import WavSource
from pycwt_client.sources.wfdb_record import WfdbSource
from pycwt_client.sources.xdf_file import XdfSource

__all__ = ["KINDS", "named_source"]

KINDS = (
    "csv", "wav", "edf", "xdf", "numpy", "parquet", "openbci", "empatica", "wfdb", "mseed", "mne",
    "lsl", "brainflow",
)  # fmt: skip
DEVICES = {"lsl", "brainflow"}
#: Kinds that also read other files, to which the named one refers.
SEVERAL_FILES = {"wfdb", "mne"}
#: Kinds and suffixes of files that a few bytes can expand to any size.
PACKED = {"parquet", ".npz"}
#: Suffixes of files, and their kind.
ENDINGS = {
    ".wav": "wav",
    ".edf": "edf",
    ".bdf": "edf",
    ".xdf": "xdf",
    ".xdfz": "xdf",
    ".xdf.gz": "xdf",
    ".npy": "numpy",
    ".npz": "numpy",
    ".parquet": "parquet",
    ".hea": "wfdb",
    **dict.fromkeys((".mseed", ".miniseed", ".msd"), "mseed"),
    **dict.fromkeys((".vhdr", ".ahdr", ".set", ".fif", ".fif.gz", ".gdf", ".cnt"), "mne"),
    **dict.fromkeys((".cdt", ".mff", ".nxe", ".nedf", ".snirf"), "mne"),
    **dict.fromkeys(("", ".csv", ".tsv", ".txt", ".dat", ".asc", ".log"), "csv"),
    **dict.fromkeys((".csv.gz", ".tsv.gz", ".txt.gz", ".gz"), "csv"),
}
#: For other names, the part after the last dot may be a date or a number.
LOOKS_LIKE_AN_ENDING = re.compile(r"\.[a-z]\w{1,7}(\.gz)?")
#: Number of initial characters of a text that determine its kind.
HEAD = 1024


def named_source(
    name: str,
    *,
    channels: tuple[str, ...] | None = None,
    chunk_s: float | None = None,
    fs_hz: float | None = None,
    assumed_fs_hz: float | None = None,
    untrusted: bool = False,
) -> Source:
    """Return the source with this name.

    Parameters
    ----------
    name
        A name as in the table above.
    channels
        Channels to read, in that order; None reads all.
    chunk_s
        Duration of a piece, seconds; by default 0.2 for a recording, 0.02 for a device.
    fs_hz, assumed_fs_hz
        `fs_hz` overrides the rate of the file or device; `assumed_fs_hz` is the rate of text and
        tables that do not state one.
    untrusted
        Reject files whose header names other files to read, or that could fill the memory.

    Raises
    ------
    SourceError
        The kind or the file does not exist.
    """
    kind, where = _split(name)
    if untrusted and kind in SEVERAL_FILES:
        raise SourceError(
            f"cannot read {where} alone: its header names other files; publish it with the "
            "command, or convert it"
        )
    if untrusted and PACKED & {kind, Path(where).suffix.lower()}:
        raise SourceError(
            f"cannot read {where} here: it may unpack to any size; publish it with the command, "
            "or convert it"
        )
    if kind in DEVICES:
        device = _device(kind, where, chunk_s or LIVE_CHUNK_S, fs_hz)
        return device if channels is None else Selected(device, channels)
    options = TableOptions(fs_hz=fs_hz, assumed_fs_hz=assumed_fs_hz, chunk_s=chunk_s or CHUNK_S)
    path, _, stream = where.partition("#") if kind == "xdf" else (where, "", "")
    _check_there(kind, Path(path))
    chosen = _of_chosen_channels(kind, Path(path), options, channels)
    if chosen is not None:
        return chosen
    source = _whole(kind, Path(path), stream, options)
    return source if channels is None else Selected(source, channels)


def _split(name: str) -> tuple[str, str]:
    kind, colon, where = name.partition(":")
    if colon and where and kind in KINDS:
        return kind, where
    if Path(name).exists() or not colon:
        path = Path(name)
        kind = _kind_of(path)
        return _kind_of_text(path) if kind == "csv" else kind, name
    raise SourceError(
        f"{kind} is not a kind of source: write one of {', '.join(KINDS)}, a colon and the place"
    )


def _kind_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])
    if ending in ENDINGS:
        return ENDINGS[ending]
    if not LOOKS_LIKE_AN_ENDING.fullmatch(ending):
        return "csv"
    known = ", ".join(each for each in ENDINGS if each)
    raise SourceError(
        f"cannot read {path}: {ending} is not a known kind of file ({known}). If it is text with "
        f"columns, write csv:{path}; if MNE reads it, mne:{path}"
    )


def _kind_of_text(path: Path) -> str:
    """Return the kind of a text file by its first lines."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            head = file.read(HEAD)
    except OSError:
        return "csv"  # reported below
    if head.startswith(OPENBCI):
        return "openbci"
    lines = head.splitlines()
    return "empatica" if len(lines) > 2 and is_empatica(*lines[:2]) else "csv"


def _check_there(kind: str, path: Path) -> None:
    if kind == "wfdb" and path.suffix != ".hea":
        path = path.with_name(f"{path.name}.hea")
    if kind == "mne" and path.is_dir():  # EGI's recordings are folders
        return
    try:
        path.open("rb").close()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None


def _of_chosen_channels(
    kind: str, path: Path, options: TableOptions, channels: tuple[str, ...] | None
) -> Source | None:
    """Return a source that reads only the selected channels; None if it cannot.

    The selection may determine the rate, and whether the file is readable at all.
    """
    match kind:
        case "edf":
            return EdfSource(path, channels=channels, chunk_s=options.chunk_s, fs_hz=options.fs_hz)
        case "csv":  # the others may contain text
            return CsvSource(
                path,
                channels=channels,
                fs_hz=options.fs_hz,
                assumed_fs_hz=options.assumed_fs_hz,
                chunk_s=options.chunk_s,
            )
        case "wfdb":
            return WfdbSource(path, options, channels=channels)
        case "parquet":
            return ParquetSource(path, options, channels=channels)
        case "mseed":
            return MseedSource(path, options, channels=channels)
        case "mne":
            return MneSource(path, options, channels=channels)
        case _:
            return None


def _whole(kind: str, path: Path, stream: str, options: TableOptions) -> Source:
    match kind:
        case "wav":
            return WavSource(path, chunk_s=options.chunk_s, fs_hz=options.fs_hz)
        case "xdf":
            return XdfSource(
                path, stream=stream or None, chunk_s=options.chunk_s, fs_hz=options.fs_hz
            )
        case "numpy":
            return NumpySource(path, options)
        case "openbci":
            return OpenBciSource(path, options)
        case _:
            return EmpaticaSource(path, options)


def _device(kind: str, where: str, chunk_s: float, fs_hz: float | None) -> Source:
    if kind == "lsl":
        return LslSource(where, chunk_s=chunk_s, fs_hz=fs_hz)
    board, *parameters = where.split(",")
    return BrainflowSource(board, dict(map(_parameter, parameters)), chunk_s=chunk_s, fs_hz=fs_hz)


def _parameter(parameter: str) -> tuple[str, str]:
    field, equals, value = parameter.partition("=")
    if not equals:
        raise SourceError(
            f"{parameter} is not a board parameter: write it as serial_port=/dev/tty0"
        )
    return field.strip(), value.strip()
