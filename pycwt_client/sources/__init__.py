"""Acquisition sources: files and devices behind one `Source`, and `play` into a stream.

>>> async with EdfSource(Path("night.edf")).open() as signals:  # doctest: +SKIP
...     async with client.publisher("night") as publisher:
...         await play(signals, publisher, speed=60)

Their drivers are optional: ``pip install 'pycwt-mod[edf]'``, and ``xdf``, ``lsl``, ``brainflow``,
or ``sources`` for all. A source is made without them; opening it says what is missing.
"""

from pycwt_client.chunks import Piece
from pycwt_client.sources.brainflow_board import BrainflowSource
from pycwt_client.sources.csv_file import CsvSource
from pycwt_client.sources.edf_file import EdfSource
from pycwt_client.sources.lsl_inlet import LslSource
from pycwt_client.sources.named import named_source
from pycwt_client.sources.player import play
from pycwt_client.sources.source import (
    MissingDriverError,
    Selected,
    Signals,
    Source,
    SourceError,
    SourceInfo,
)
from pycwt_client.sources.wav_file import WavSource
from pycwt_client.sources.xdf_file import XdfSource

__all__ = [
    "BrainflowSource",
    "CsvSource",
    "EdfSource",
    "LslSource",
    "MissingDriverError",
    "Piece",
    "Selected",
    "Signals",
    "Source",
    "SourceError",
    "SourceInfo",
    "WavSource",
    "XdfSource",
    "named_source",
    "play",
]
