"""A piece of work for a compute worker, complete in itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.arrays import SampleMatrix
from schemas.limits import MAX_CHANNELS, MAX_OCTAVE
from schemas.message import (
    Count,
    Epoch,
    Id,
    Items,
    Message,
    Name,
    PersistedMessage,
    Position,
    PositiveCount,
    PositiveReal,
    ShortHash,
    wrong_field,
)
from schemas.stream import AnalysisSpec
from schemas.timing import WindowTimes

Octave = Annotated[int, Field(ge=0, le=MAX_OCTAVE)]


class Tile(Message):
    """The stretch of the time axis that one result covers."""

    first_sample: Count
    #: Length in samples of the signal.
    n: PositiveCount


class AnalysisWindow(PersistedMessage):
    """The samples that one octave needs to cover one tile, for some channel sets of an analysis."""

    schema_id: Literal["window.analysis/1"] = Field(default="window.analysis/1", alias="schema")
    #: The same whenever this window is made again.
    id: Id
    stream: Name
    epoch: Epoch
    #: The analysis of the channel sets in this window alone; each of them has its own result.
    analysis: AnalysisSpec
    fs_hz: PositiveReal
    #: The channels that the sets need, each one once, in the order of the columns.
    channels: Annotated[Items[Name], Field(min_length=1, max_length=MAX_CHANNELS)]
    octave: Octave
    tile: Tile
    #: Position of the first row of ``samples``.
    first_sample: Position
    #: (time, channel), in the narrowest type that loses nothing; NaN is a missing sample.
    samples: SampleMatrix
    #: When the first sample of the tile was taken, by the line through the device's time stamps.
    t0_ns: Count | None = None
    #: The same by its newest time stamp and the nominal rate alone.
    t0_raw_ns: Count | None = None
    #: Older than this, the window is told as dropped instead of computed; None: it never is.
    stale_after_s: PositiveReal | None = None
    #: Of the analysis with the channel sets in this window.
    spec_hash: ShortHash
    times_ns: WindowTimes

    @property
    def n_samples(self) -> int:
        """Number of time steps, the tile and what it needs on either side."""
        return int(self.samples.shape[0])

    @property
    def columns(self) -> dict[str, int]:
        """The column of each channel."""
        return {name: column for column, name in enumerate(self.channels)}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        columns = self.samples.shape[1]
        if columns != len(self.channels):
            raise wrong_field("samples", f"{columns} columns for {len(self.channels)} channels")
        needed = {name for names in self.analysis.channel_sets for name in names}
        if len(needed) != columns or needed != set(self.channels):
            raise wrong_field("channels", "not those of the analysis's channel sets, each one once")
        return self
