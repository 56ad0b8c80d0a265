"""Messages of live streams: chunks, windows, results and events.

A device publishes chunks. Ingest divides them into windows, and compute workers compute the results
of each window. Events report gaps, restarts, rejected chunks and the like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from cwt_schemas.analysis import MAX_GIVEN, AnalysisSpec, Op
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
    "copy",
    "singular",
    "lag",
    "dropped",
    "rate",
    "clock",
    "calibration",
]


class SignalChunk(PersistedMessage):
    """Consecutive samples of all channels of the stream that the subject names."""

    schema_id: Literal["signal.chunk/1"] = Field(default="signal.chunk/1", alias="schema")
    #: Run of the device; the analysis starts afresh with a new epoch.
    epoch: Epoch
    #: Index of the first sample in the epoch; None: directly after the last chunk.
    first_sample: Annotated[int, Field(ge=0, le=MAX_FIRST_SAMPLE)] | None = None
    #: Time of the first sample.
    t0_ns: Annotated[int, Field(ge=0, le=MAX_T0_NS)] | None = None
    #: (time,) or (time, channel); NaN is a missing sample; infinite samples become NaN.
    #: May be empty only in a final chunk.
    samples: SampleArray
    #: The epoch ends with this chunk; its last results are computed without further samples.
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
            raise wrong_field(
                "samples", "empty; at least one is required, unless the chunk is final"
            )
        if self.n_samples > MAX_CHUNK_SAMPLES:
            raise wrong_field(
                "samples", f"{self.n_samples} steps exceed the limit of {MAX_CHUNK_SAMPLES}"
            )
        if self.n_channels > MAX_CHANNELS:
            problem = f"{self.n_channels} channels exceed the limit of {MAX_CHANNELS}"
            raise wrong_field("samples", f"{problem}; the axes are (time, channel)")
        return self


def tile_id(
    *, stream: str, epoch: str, analysis: str, spec_hash: str, octave: int, first_sample: int
) -> str:
    """Return the id of the window or result of one tile of one octave, the same in every process.

    A result's `spec_hash` is that of its channel set, a window's that of all the sets it carries.
    """
    return f"{stream}/{epoch}/{analysis}/{spec_hash}/{octave}/{first_sample}"


class Tile(Message):
    """The part of the time axis that one result covers."""

    first_sample: Count
    #: Length in samples.
    n: PositiveCount


class WindowTimes(Message):
    """Times of a window, in nanoseconds UTC."""

    #: When the log stored the last chunk that the window needs.
    received: Count
    windowed: Count


class AnalysisWindow(PersistedMessage):
    """The samples from which one octave of one tile is computed, for one or more channel sets."""

    schema_id: Literal["window.analysis/1"] = Field(default="window.analysis/1", alias="schema")
    #: The same whenever ingest makes this window again.
    id: Id
    stream: Name
    epoch: Epoch
    #: The analysis, with only the channel sets in this window; each of them has its own result.
    analysis: AnalysisSpec
    fs_hz: PositiveReal
    #: The channels of the sets, without duplicates, in the order of the columns.
    channels: Annotated[Items[Name], Field(min_length=1, max_length=MAX_CHANNELS)]
    octave: Octave
    tile: Tile
    #: Position of the first row of ``samples``.
    first_sample: Position
    #: (time, channel), in the narrowest dtype that is exact; NaN is a missing sample.
    samples: SampleMatrix
    #: Time of the first sample of the tile, by the line through the device's time stamps.
    t0_ns: Count | None = None
    #: The same, by the newest time stamp and the nominal rate.
    t0_raw_ns: Count | None = None
    #: Age at which the window is dropped instead of computed; None: never.
    stale_after_s: PositiveReal | None = None
    #: Hash of the analysis with the channel sets in this window.
    spec_hash: ShortHash
    #: For all pairs: most pairs of one result, such that it fits a message of the server.
    pairs_per_message: Annotated[
        PositiveCount | None, Field(exclude_if=lambda count: count is None)
    ] = None
    times_ns: WindowTimes

    @property
    def n_samples(self) -> int:
        """Number of time steps of the tile and its margins."""
        return int(self.samples.shape[0])

    @property
    def columns(self) -> dict[str, int]:
        """Map from channel to column."""
        return {name: column for column, name in enumerate(self.channels)}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        columns = self.samples.shape[1]
        if columns != len(self.channels):
            raise wrong_field(
                "samples",
                f"{columns} columns for {len(self.channels)} channels; the numbers must be equal",
            )
        needed = {*self.analysis.used_channels}
        if len(needed) != columns or needed != set(self.channels):
            raise wrong_field(
                "channels", "must be the channels of the analysis, without duplicates"
            )
        return self


class TimeAxis(Message):
    """Positions of the columns of a result: ``first_sample + step * i`` for i below ``n``."""

    first_sample: Count
    step: PositiveCount
    n: PositiveCount


class InputSpan(Message):
    """The samples that a result was computed from."""

    first_sample: Position
    n_samples: PositiveCount


class Engine(Message):
    """Library, backend and worker that computed a result."""

    library: Label
    version: Label
    backend: Label
    worker: Label


class ResultTimes(WindowTimes):
    """Times of a result, in nanoseconds UTC."""

    computed: Count


class TileResult(PersistedMessage):
    """What the results of one octave over one tile have in common."""

    schema_id: str = Field(alias="schema")
    #: The same whenever this result is recomputed.
    id: Id
    stream: Name
    epoch: Epoch
    analysis: Name
    op: Op
    octave: Octave
    #: (row,); a row is a scale, or a band of scales.
    freqs_hz: RealVector
    #: (row,)
    scales_s: RealVector
    t: TimeAxis
    #: Time of the first column, by the line through the device's time stamps.
    t0_ns: Count | None = None
    #: The same, by the newest time stamp and the nominal rate.
    t0_raw_ns: Count | None = None
    #: How ``signif`` was found: looked up, or simulated if the table does not cover it.
    signif_method: Literal["table", "monte-carlo"] | None = None
    input: InputSpan
    spec_hash: ShortHash
    engine: Engine
    times_ns: ResultTimes

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """(time,) sample index of each column, from the start of the epoch."""
        return self.t.first_sample + self.t.step * np.arange(self.t.n, dtype=np.int64)

    def check_shapes(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Raise an error if an array that is present has another shape."""
        for field, shape in expected.items():
            array = getattr(self, field)
            if array is not None and array.shape != shape:
                raise wrong_field(field, f"shape {list(array.shape)}; expected {list(shape)}")


class AnalysisResult(TileResult):
    """One octave of one channel set over one tile; each row is a scale.

    The results of one stream, analysis, channel set and octave cover the time axis without gaps or
    overlaps, and may arrive in any order.
    """

    schema_id: Literal["result.analysis/1"] = Field(default="result.analysis/1", alias="schema")
    #: The channel, or the pair. The given channels follow the pair of ``pwct`` and the target of
    #: ``mwct``.
    channels: Annotated[Items[Name], Field(min_length=1, max_length=MAX_GIVEN + 2)]
    #: Sampling rate of the stream; None in old results without this field.
    fs_hz: PositiveReal | None = None
    #: (scale, time), the quantity of the analysis.
    values: ValueMatrix
    #: (scale, time), in radians.
    phase: RealMatrix | None = None
    #: (scale,), the significance threshold of R².
    signif: RealVector | None = None
    #: (scale, time), 1 where missing data or an edge affects the value; None: nowhere.
    mask: MaskMatrix | None = None

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """(time,) seconds from the start of the epoch to each column.

        Raises
        ------
        ValueError
            An old result without `fs_hz`.
        """
        if self.fs_hz is None:
            raise ValueError(
                f"cannot give times of {self.id}: it has no rate; divide positions by the stream's"
            )
        return self.positions / self.fs_hz

    @property
    def masked(self) -> np.ma.MaskedArray[Any, Any]:
        """(scale, time), the values as a masked array of numpy."""
        mask = np.ma.nomask if self.mask is None else np.asarray(self.mask, dtype=bool)
        return np.ma.MaskedArray(self.values, mask)

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        k, n = len(self.freqs_hz), self.t.n
        self.check_shapes(
            {"scales_s": (k,), "values": (k, n), "phase": (k, n), "signif": (k,), "mask": (k, n)}
        )
        return self


class StreamEvent(PersistedMessage):
    """An event of a stream, such as a gap or a rejected chunk."""

    schema_id: Literal["stream.event/1"] = Field(default="stream.event/1", alias="schema")
    id: Id
    stream: Name
    #: None if it is unknown, for example of a chunk that cannot be decoded.
    epoch: Epoch | None = None
    #: Later versions may add kinds.
    kind: EventKind | Name
    #: The channel, if the event concerns only one.
    channel: Name | None = None
    #: The samples, if the event concerns samples.
    first_sample: Count | None = None
    n_samples: Count | None = None
    #: Number of events of this kind that it stands for; frequent events are added up.
    count: PositiveCount = 1
    detail: Text = ""
    t_ns: Count
