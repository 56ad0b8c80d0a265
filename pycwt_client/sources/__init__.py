"""Acquisition sources: files and devices behind one `Source`, and `play` into a stream.

>>> async with EdfSource(Path("night.edf")).open() as signals:  # doctest: +SKIP
...     async with client.publisher("night") as publisher:
...         await play(signals, publisher, speed=60)

Their drivers are optional: the extras ``edf``, ``xdf``, ``wfdb``, ``mseed``, ``parquet``, ``mne``,
``lsl``, ``brainflow``, or ``sources`` for all. A source is made without them; opening it says what
is missing.
"""

from pycwt_client.chunks import Piece
from pycwt_client.sources.brainflow_board import BrainflowSource
from pycwt_client.sources.csv_file import CsvSource
from pycwt_client.sources.description import Description, describe
from pycwt_client.sources.edf_file import EdfSource
from pycwt_client.sources.empatica_file import EmpaticaSource
from pycwt_client.sources.lsl_inlet import LslSource
from pycwt_client.sources.mne_file import MneSource
from pycwt_client.sources.mseed_file import MseedSource
from pycwt_client.sources.named import named_source
from pycwt_client.sources.numpy_file import NumpySource
from pycwt_client.sources.openbci_file import OpenBciSource
from pycwt_client.sources.parquet_file import ParquetSource
from pycwt_client.sources.player import play
from pycwt_client.sources.rate import measured_fs_hz
from pycwt_client.sources.source import (
    Annotation,
    ChoiceNeededError,
    MissingDriverError,
    Selected,
    Signals,
    Source,
    SourceError,
    SourceInfo,
)
from pycwt_client.sources.tables import TableOptions
from pycwt_client.sources.wav_file import WavSource
from pycwt_client.sources.wfdb_record import WfdbSource
from pycwt_client.sources.whole import Resampled
from pycwt_client.sources.xdf_file import XdfSource

__all__ = [
    "Annotation",
    "BrainflowSource",
    "ChoiceNeededError",
    "CsvSource",
    "Description",
    "EdfSource",
    "EmpaticaSource",
    "LslSource",
    "MissingDriverError",
    "MneSource",
    "MseedSource",
    "NumpySource",
    "OpenBciSource",
    "ParquetSource",
    "Piece",
    "Resampled",
    "Selected",
    "Signals",
    "Source",
    "SourceError",
    "SourceInfo",
    "TableOptions",
    "WavSource",
    "WfdbSource",
    "XdfSource",
    "describe",
    "measured_fs_hz",
    "named_source",
    "play",
]
