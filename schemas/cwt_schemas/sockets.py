"""Messages of clients to ``/ws/stream/wct``, without their field ``type``."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from cwt_schemas.analysis import HOP_PERIODS, MIN_HOP_S, TOP_OF_RATE, Convention, Level, Wavelet
from cwt_schemas.arrays import SampleVector
from cwt_schemas.codec import validated
from cwt_schemas.limits import MAX_CHUNK_SAMPLES, MAX_VOICES_PER_OCTAVE
from cwt_schemas.message import UNEQUAL_LENGTHS, Message, PositiveReal, wrong_field
from cwt_schemas.query import LevelChoice, LevelMethod, TransformRequest, WctRequest
from cwt_schemas.stream import StreamDefinition

__all__ = [
    "ANALYSIS",
    "CHANNELS",
    "ChunkConfig",
    "DataId",
    "PairSamples",
    "StreamConfig",
]

#: Names of the analysis and channels of a connection's own stream.
ANALYSIS: Final = "coherence"
CHANNELS: Final = ("signal1", "signal2")
#: Default ratio of the highest to the lowest frequency; each further octave doubles the delay.
BAND: Final = 32

#: Default highest frequency over the rate, for wavelets of the default order.
DEFAULT_TOPS: Final[dict[Wavelet, float]] = {"morlet": TOP_OF_RATE, "paul": 1 / 10, "dog": 1 / 8}

#: Id of a ``data`` message; its reply has the same.
DataId = int | Annotated[str, Field(max_length=128)]


class ChunkConfig(TransformRequest, LevelChoice):
    """Configuration of the mode in which each pair of signals is a separate record."""

    mode: Literal["chunk"] = "chunk"
    method: LevelMethod = "table"
    #: None: no significance threshold.
    significance_level: Level | None = 0.95

    def request(self, pair: PairSamples) -> WctRequest:
        """Return the query for a pair of signals."""
        own = self.model_dump(exclude={"mode"})
        return validated(WctRequest, {**own, "signal1": pair.signal1, "signal2": pair.signal2})


class StreamConfig(Message):
    """Configuration of the mode in which two signals continue from message to message."""

    mode: Literal["stream"]
    #: Sampling interval in seconds.
    dt: PositiveReal
    mother: Wavelet = "morlet"
    #: Order or central frequency of the wavelet; -1 selects 6, 4 or 2.
    param: Annotated[float, Field(ge=-1)] = -1.0
    convention: Convention = "standard"
    #: None: no significance threshold.
    significance_level: Level | None = 0.95
    voices_per_octave: Annotated[int, Field(ge=1, le=MAX_VOICES_PER_OCTAVE)] = 12
    #: None: a quarter of the rate with Morlet, a tenth with Paul, an eighth with DOG.
    fmax_hz: PositiveReal | None = None
    #: None: five octaves below `fmax_hz`.
    fmin_hz: PositiveReal | None = None
    #: Seconds between results of the highest octave; None: eight periods of `fmax_hz`.
    hop_s: PositiveReal | None = None

    def definition(self, name: str) -> StreamDefinition:
        """Return the definition of the connection's stream.

        Raises
        ------
        Unprocessable
            The definition is invalid.
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

    #: (time,), of equal length; NaN and infinity are missing samples.
    signal1: SampleVector
    signal2: SampleVector

    @property
    def samples(self) -> npt.NDArray[np.floating[Any]]:
        """The samples (time, channel)."""
        return np.stack([self.signal1, self.signal2], axis=1)

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if len(self.signal1) > MAX_CHUNK_SAMPLES:
            problem = f"{len(self.signal1)} samples exceed the limit of {MAX_CHUNK_SAMPLES}"
            raise wrong_field("signal1", problem)
        if len(self.signal1) != len(self.signal2):
            lengths = f"{len(self.signal2)} samples, signal1 has {len(self.signal1)}"
            raise wrong_field("signal2", lengths, reason=UNEQUAL_LENGTHS)
        return self
