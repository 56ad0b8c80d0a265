"""What a client sends to ``/ws/stream/wct``, each without its field ``type``."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from cwt_schemas.arrays import SampleVector
from cwt_schemas.codec import validated
from cwt_schemas.limits import MAX_CHUNK_SAMPLES, MAX_VOICES_PER_OCTAVE
from cwt_schemas.message import UNEQUAL_LENGTHS, Message, PositiveReal, wrong_field
from cwt_schemas.query import LevelChoice, LevelMethod, TransformRequest, WctRequest
from cwt_schemas.stream import (
    HOP_PERIODS,
    MIN_HOP_S,
    TOP_OF_RATE,
    Convention,
    Level,
    StreamDefinition,
    Wavelet,
)

__all__ = [
    "ANALYSIS",
    "CHANNELS",
    "ChunkConfig",
    "DataId",
    "PairSamples",
    "StreamConfig",
]

#: Of a connection's own stream.
ANALYSIS: Final = "coherence"
CHANNELS: Final = ("signal1", "signal2")
#: Ratio of the highest to the lowest frequency: of each octave below, results take twice as long.
BAND: Final = 32

#: Highest frequency over the rate, for wavelets of the usual order.
DEFAULT_TOPS: Final[dict[Wavelet, float]] = {"morlet": TOP_OF_RATE, "paul": 1 / 10, "dog": 1 / 8}

#: Of a ``data`` message; its reply has the same.
DataId = int | Annotated[str, Field(max_length=128)]


class ChunkConfig(TransformRequest, LevelChoice):
    """How each pair of signals is analysed as a record of its own."""

    mode: Literal["chunk"] = "chunk"
    method: LevelMethod = "table"
    #: None leaves the significance out.
    significance_level: Level | None = 0.95

    def request(self, pair: PairSamples) -> WctRequest:
        """Return the query for a pair of signals."""
        own = self.model_dump(exclude={"mode"})
        return validated(WctRequest, {**own, "signal1": pair.signal1, "signal2": pair.signal2})


class StreamConfig(Message):
    """How two signals are analysed that go on from message to message."""

    mode: Literal["stream"]
    #: Sampling interval in seconds.
    dt: PositiveReal
    mother: Wavelet = "morlet"
    #: Order or central frequency; -1 is the wavelet's usual one (6, 4 and 2).
    param: Annotated[float, Field(ge=-1)] = -1.0
    convention: Convention = "standard"
    #: None leaves the significance out.
    significance_level: Level | None = 0.95
    voices_per_octave: Annotated[int, Field(ge=1, le=MAX_VOICES_PER_OCTAVE)] = 12
    #: None: a quarter of the rate with Morlet's wavelet, a tenth with Paul's, an eighth with DOG.
    fmax_hz: PositiveReal | None = None
    #: None: five octaves below the highest.
    fmin_hz: PositiveReal | None = None
    #: Seconds between results of the highest octave; None: eight periods of the highest frequency.
    hop_s: PositiveReal | None = None

    def definition(self, name: str) -> StreamDefinition:
        """Return the stream that this describes.

        Raises
        ------
        Unprocessable
            There is no such stream.
        """
        fs_hz = 1 / self.dt
        fmax_hz = self.fmax_hz or fs_hz * DEFAULT_TOPS[self.mother]
        level = self.significance_level
        analysis = {
            "name": ANALYSIS,
            "op": "wct",
            "pairs": [CHANNELS],
            "quantity": "coherence",
            "wavelet": self.mother,
            "param": self.param,
            "convention": self.convention,
            "voices_per_octave": self.voices_per_octave,
            "fmax_hz": fmax_hz,
            "fmin_hz": self.fmin_hz or fmax_hz / BAND,
            "hop_s": self.hop_s or max(HOP_PERIODS / fmax_hz, MIN_HOP_S),
            "significance": None if level is None else {"level": level},
        }
        channels = [{"name": channel} for channel in CHANNELS]
        fields = {"name": name, "fs_hz": fs_hz, "channels": channels, "analyses": [analysis]}
        return validated(StreamDefinition, fields)


class PairSamples(Message):
    """Samples of two signals over the same time."""

    #: (time,), both of the same length; NaN is a missing sample, and so is an infinite one.
    signal1: SampleVector
    signal2: SampleVector

    @property
    def samples(self) -> npt.NDArray[np.floating[Any]]:
        """The samples (time, channel)."""
        return np.stack([self.signal1, self.signal2], axis=1)

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if len(self.signal1) > MAX_CHUNK_SAMPLES:
            problem = f"{len(self.signal1)} samples, {MAX_CHUNK_SAMPLES} are possible"
            raise wrong_field("signal1", problem)
        if len(self.signal1) != len(self.signal2):
            lengths = f"{len(self.signal2)} samples, signal1 has {len(self.signal1)}"
            raise wrong_field("signal2", lengths, reason=UNEQUAL_LENGTHS)
        return self
