"""The level of significance of a coherence, asked for without signals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.arrays import RealVector
from schemas.limits import MAX_QUERY_SAMPLES
from schemas.message import Count, Items, Message, PersistedMessage, PositiveReal
from schemas.query import (
    BackendName,
    Cached,
    Lag1,
    LastRow,
    LevelChoice,
    Seconds,
    Seed,
    WaveletChoice,
)
from schemas.stream import Level


class SignificanceRequest(WaveletChoice, LevelChoice):
    """Asks which coherence two unrelated red noises rarely exceed."""

    #: Of the first and the second noise.
    al1: Lag1
    al2: Lag1
    #: Sampling interval in seconds.
    dt: PositiveReal
    #: Distance of scales in octaves.
    dj: PositiveReal
    #: Smallest scale in seconds.
    s0: PositiveReal
    #: Number of scales less one.
    J: LastRow
    significance_level: Level = 0.95
    #: Samples of the signals, whose ends raise the level of long periods. None: records of six
    #: times the largest scale.
    n: Annotated[int, Field(ge=2, le=MAX_QUERY_SAMPLES)] | None = None


class KeptLevels(PersistedMessage):
    """Levels that a worker simulated, for all of them; the key says what of."""

    schema_id: Literal["significance.levels/1"] = Field(
        default="significance.levels/1", alias="schema"
    )
    #: (scale,), NaN where no level can be given, and its standard error.
    signif: RealVector
    standard_error: RealVector
    #: (scale,), surrogate pairs behind each level.
    pairs: Items[Count]


class SignificanceReply(Message):
    """The level, per scale."""

    #: (scale,), NaN where no level can be given.
    signif: RealVector
    #: None if nothing was simulated.
    backend_used: BackendName | None = None
    seed: Seed | None = None
    computation_time: Seconds
    cached: Cached = False
