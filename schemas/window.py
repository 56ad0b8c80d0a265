"""A piece of work for a compute worker, complete in itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.arrays import RealMatrix
from schemas.limits import MAX_OCTAVE
from schemas.message import (
    Count,
    Epoch,
    Id,
    Items,
    Message,
    PersistedMessage,
    Position,
    PositiveCount,
    PositiveReal,
    ShortHash,
    wrong_field,
)
from schemas.names import Name
from schemas.stream import AnalysisSpec
from schemas.timing import WindowTimes

Octave = Annotated[int, Field(ge=0, le=MAX_OCTAVE)]


class Tile(Message):
    """The stretch of the time axis that one result covers."""

    first_sample: Count
    #: Length in samples of the signal.
    n: PositiveCount


class AnalysisWindow(PersistedMessage):
    """The samples that one octave of one channel set needs to cover one tile."""

    schema_id: Literal["window.analysis/1"] = Field(default="window.analysis/1", alias="schema")
    #: The same whenever this window is made again; the result has it too.
    id: Id
    stream: Name
    epoch: Epoch
    analysis: AnalysisSpec
    fs_hz: PositiveReal
    #: One of the analysis's channel sets, in the order of the columns.
    channels: Annotated[Items[Name], Field(min_length=1, max_length=2)]
    octave: Octave
    tile: Tile
    #: Position of the first row of ``samples``.
    first_sample: Position
    #: (time, channel); NaN is a missing sample.
    samples: RealMatrix
    #: When the first sample of the tile was taken.
    t0_ns: Count | None = None
    spec_hash: ShortHash
    times_ns: WindowTimes

    @property
    def n_samples(self) -> int:
        """Number of time steps, the tile and what it needs on either side."""
        return int(self.samples.shape[0])

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        columns = self.samples.shape[1]
        if columns != len(self.channels):
            raise wrong_field("samples", f"{columns} columns for {len(self.channels)} channels")
        if self.channels not in self.analysis.channel_sets:
            raise wrong_field("channels", "no channel set of the analysis")
        return self
