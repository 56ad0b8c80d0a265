"""What travels while a stream is live: chunks, windows, results and events.

A device sends chunks. Ingest cuts them into windows, and a compute worker makes results of each
window. Events report what happened to a stream besides its data.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from cwt_schemas.arrays import (
    MaskMatrix,
    RealMatrix,
    RealVector,
    SampleArray,
    SampleMatrix,
    ValueMatrix,
)
from cwt_schemas.limits import (
    MAX_CHANNELS,
    MAX_CHUNK_SAMPLES,
    MAX_FIRST_SAMPLE,
    MAX_OCTAVE,
    MAX_T0_NS,
)
from cwt_schemas.message import (
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
    Text,
    wrong_field,
)
from cwt_schemas.stream import AnalysisSpec, Op

Octave = Annotated[int, Field(ge=0, le=MAX_OCTAVE)]
Label = Annotated[str, Field(max_length=128)]
EventKind = Literal[
    "gap",
    "overlap",
    "reset",
    "rejected",
    "missing",
    "recovered",
    "flat",
    "lag",
    "dropped",
    "rate",
    "clock",
]


class SignalChunk(PersistedMessage):
    """Consecutive samples of all channels of one stream; which stream is said by the subject."""

    schema_id: Literal["signal.chunk/1"] = Field(default="signal.chunk/1", alias="schema")
    #: Which run of the device; a new one starts the analysis afresh.
    epoch: Epoch
    #: Index of the first sample since the epoch began; none means "right after the last chunk".
    first_sample: Annotated[int, Field(ge=0, le=MAX_FIRST_SAMPLE)] | None = None
    #: When the first sample was taken.
    t0_ns: Annotated[int, Field(ge=0, le=MAX_T0_NS)] | None = None
    #: (time,) or (time, channel); NaN is a missing sample, and so is an infinite one, which becomes
    #: NaN. Empty in a final chunk alone.
    samples: SampleArray
    #: The epoch ends with this chunk: what its last samples belong to is computed without more.
    final: bool = False

    @property
    def n_samples(self) -> int:
        """Number of time steps."""
        return int(self.samples.shape[0])

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return 1 if self.samples.ndim == 1 else int(self.samples.shape[1])

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if self.n_samples == 0 and not self.final:
            raise wrong_field("samples", "empty: at least one is needed, unless the chunk is final")
        if self.n_samples > MAX_CHUNK_SAMPLES:
            raise wrong_field(
                "samples", f"{self.n_samples} steps, {MAX_CHUNK_SAMPLES} are possible"
            )
        if self.n_channels > MAX_CHANNELS:
            problem = f"{self.n_channels} channels, {MAX_CHANNELS} are possible"
            raise wrong_field("samples", f"{problem}: the axes are (time, channel)")
        return self


def tile_id(
    *, stream: str, epoch: str, analysis: str, spec_hash: str, octave: int, first_sample: int
) -> str:
    """Return the id of what is computed over one tile of one octave, the same in every process.

    A result's `spec_hash` is that of its channel set, a window's that of all the sets it carries.
    """
    return f"{stream}/{epoch}/{analysis}/{spec_hash}/{octave}/{first_sample}"


class Tile(Message):
    """The stretch of the time axis that one result covers."""

    first_sample: Count
    #: Length in samples of the signal.
    n: PositiveCount


class WindowTimes(Message):
    """Times of a window, in nanoseconds UTC."""

    #: When the log took the last chunk that the window needed.
    received: Count
    windowed: Count


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


class TimeAxis(Message):
    """Where the columns of a result lie: ``first_sample + step * i`` for i below ``n``."""

    first_sample: Count
    step: PositiveCount
    n: PositiveCount


class InputSpan(Message):
    """The samples that went into a result."""

    first_sample: Position
    n_samples: PositiveCount


class Engine(Message):
    """What computed a result."""

    library: Label
    version: Label
    backend: Label
    worker: Label


class ResultTimes(WindowTimes):
    """Times of a result, in nanoseconds UTC."""

    computed: Count


class AnalysisResult(PersistedMessage):
    """One octave of one channel set over one tile.

    Results of one stream, analysis, channel set and octave tile the time axis without hole or
    overlap, in whatever order they arrive.
    """

    schema_id: Literal["result.analysis/1"] = Field(default="result.analysis/1", alias="schema")
    #: The same whenever this result is made again.
    id: Id
    stream: Name
    epoch: Epoch
    analysis: Name
    op: Op
    channels: Annotated[Items[Name], Field(min_length=1, max_length=2)]
    octave: Octave
    #: (scale,)
    freqs_hz: RealVector
    #: (scale,)
    scales_s: RealVector
    t: TimeAxis
    #: Samples per second of the stream; None in results from before it was written down.
    fs_hz: PositiveReal | None = None
    #: When the first column's sample was taken, by the line through the device's time stamps.
    t0_ns: Count | None = None
    #: The same by its newest time stamp and the nominal rate alone.
    t0_raw_ns: Count | None = None
    #: (scale, time), in the quantity that the analysis asks for.
    values: ValueMatrix
    #: (scale, time), in radians.
    phase: RealMatrix | None = None
    #: (scale,)
    signif: RealVector | None = None
    #: Where ``signif`` comes from: looked up, or simulated where the table has no such level.
    signif_method: Literal["table", "monte-carlo"] | None = None
    #: (scale, time), 1 where missing data or an edge touches the value; None: nowhere.
    mask: MaskMatrix | None = None
    input: InputSpan
    spec_hash: ShortHash
    engine: Engine
    times_ns: ResultTimes

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """(time,) sample index of each column, from the start of the epoch."""
        return self.t.first_sample + self.t.step * np.arange(self.t.n, dtype=np.int64)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """(time,) seconds from the start of the epoch to each column.

        Raises
        ------
        ValueError
            The result is from before results said their rate.
        """
        if self.fs_hz is None:
            raise ValueError(f"{self.id} does not say its rate: divide positions by the stream's")
        return self.positions / self.fs_hz

    @property
    def masked(self) -> np.ma.MaskedArray[Any, Any]:
        """(scale, time) the values, with `mask` as numpy's."""
        mask = np.ma.nomask if self.mask is None else np.asarray(self.mask, dtype=bool)
        return np.ma.MaskedArray(self.values, mask)

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        k, n = len(self.freqs_hz), self.t.n
        expected: dict[str, tuple[int, ...]] = {
            "scales_s": (k,),
            "values": (k, n),
            "phase": (k, n),
            "signif": (k,),
            "mask": (k, n),
        }
        for field, shape in expected.items():
            array = getattr(self, field)
            if array is not None and array.shape != shape:
                raise wrong_field(field, f"shape {list(array.shape)}, {list(shape)} expected")
        return self


class StreamEvent(PersistedMessage):
    """Something that a reader of the results ought to know."""

    schema_id: Literal["stream.event/1"] = Field(default="stream.event/1", alias="schema")
    id: Id
    stream: Name
    #: None where it can't be known, as of a chunk that can't be read.
    epoch: Epoch | None = None
    #: Later versions have more kinds.
    kind: EventKind | Name
    #: The channel it is about, where that is one.
    channel: Name | None = None
    #: The samples it is about, where there are such.
    first_sample: Count | None = None
    n_samples: Count | None = None
    #: How many events of this kind it stands for; they are added up where they come too fast.
    count: PositiveCount = 1
    detail: Text = ""
    t_ns: Count
