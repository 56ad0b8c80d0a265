"""Stream definitions, the requests about them, and a stream's status."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cwt_schemas.analysis import AnalysisSpec, ChannelSet, Fraction
from cwt_schemas.limits import (
    MAX_ANALYSES,
    MAX_CHANNELS,
    MAX_FS_HZ,
    MAX_OCTAVE,
    MAX_REORDER_S,
    MIN_FS_HZ,
)
from cwt_schemas.message import (
    Count,
    Epoch,
    Items,
    Message,
    Name,
    PersistedMessage,
    PositiveCount,
    PositiveReal,
    UserName,
    check_unique,
    listed,
    wrong_field,
)

WhenBehind = Literal["keep", "latest"]

#: Default of `stale_after_s`: the age up to which a closed loop can use a result.
DEFAULT_STALE_AFTER_S = 1.0

#: Not allowed as the name of a stream: ``cwt.event.hw`` carries the events of devices.
RESERVED_NAME = "hw"


class Channel(Message):
    """A measured quantity: one column of the samples."""

    name: Name
    #: Unit of the samples, such as ``uV``; used for display only.
    unit: Annotated[str, Field(max_length=32)] | None = None


class StreamDefinition(PersistedMessage):
    """A stream: its sampling rate, channels and live analyses."""

    #: Optional in definitions that are written by hand; stored definitions have it.
    schema_required: ClassVar[bool] = False

    schema_id: Literal["stream.definition/1"] = Field(default="stream.definition/1", alias="schema")
    name: Name
    fs_hz: Annotated[float, Field(ge=MIN_FS_HZ, le=MAX_FS_HZ)]
    channels: Annotated[Items[Channel], Field(min_length=1, max_length=MAX_CHANNELS)]
    analyses: Annotated[Items[AnalysisSpec], Field(max_length=MAX_ANALYSES)] = ()
    #: Sequence number of the first message of the signal log to analyse; None: the next message.
    start_seq: PositiveCount | None = None
    #: Samples that may arrive while ingest waits for a missing chunk, seconds; 0: it does not wait.
    reorder_s: Annotated[float, Field(ge=0, le=MAX_REORDER_S)] = 1.0
    #: If workers are slower than the device: compute every window, or drop those that are too old.
    when_behind: WhenBehind = "keep"
    #: Age of the samples at which a window is dropped, seconds; only with ``latest``.
    stale_after_s: PositiveReal | None = None
    #: The owner, set by ingest; ignored in requests. None: unknown.
    defined_by: UserName = None

    @field_validator("analyses")
    @classmethod
    def _of_these_channels(
        cls, analyses: tuple[AnalysisSpec, ...], info: ValidationInfo
    ) -> tuple[AnalysisSpec, ...]:
        """Name the channels of analyses of all pairs, so that windows and hashes state them."""
        names = tuple(channel.name for channel in info.data.get("channels", ()))
        resolved = tuple(spec.of_channels(names) for spec in analyses)
        for spec in resolved:
            if names and spec.pairs == "all" and len(spec.channels) < 2:
                raise wrong_field(f"{spec.name}.pairs", "the stream has only one channel")
        return resolved

    @property
    def drop_after_s(self) -> float | None:
        """Age at which a window is dropped, seconds; None if every window is computed."""
        if self.when_behind == "keep":
            return None
        return self.stale_after_s or DEFAULT_STALE_AFTER_S

    @property
    def channel_names(self) -> ChannelSet:
        """The names of the channels, in the order of the columns."""
        return tuple(channel.name for channel in self.channels)

    def analysis(self, name: str) -> AnalysisSpec | None:
        """Return the analysis with this name, or None."""
        return next((each for each in self.analyses if each.name == name), None)

    def same_as(self, other: StreamDefinition) -> bool:
        """Return whether `other` is the same definition; it may omit `start_seq`."""
        anywhere = {"start_seq": None, "defined_by": None}
        if other.start_seq not in (None, self.start_seq):
            return False
        return self.model_copy(update=anywhere) == other.model_copy(update=anywhere)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name == RESERVED_NAME:
            raise wrong_field("name", f"{RESERVED_NAME} is reserved for the events of devices")
        if self.stale_after_s is not None and self.when_behind == "keep":
            problem = "cannot be used with when_behind 'keep'; use 'latest', or omit it"
            raise wrong_field("stale_after_s", problem)
        check_unique("channels", self.channel_names)
        check_unique("analyses", [each.name for each in self.analyses])
        known = set(self.channel_names)
        for spec in self.analyses:
            where = f"analyses.{spec.name}"
            unknown = {*spec.used_channels} - known
            if unknown:
                problem = f"the stream has no channel {listed(sorted(unknown), 5)}"
                problem += f"; its channels are {listed(self.channel_names)}"
                fields = ("target", "given", "channels", "pairs")
                field = next(each for each in fields if unknown & spec.names_of(each))
                raise wrong_field(f"{where}.{field}", problem)
            if spec.fmax_hz > self.fs_hz / 2:
                nyquist = f"half of fs_hz = {self.fs_hz:g} is {self.fs_hz / 2:g}"
                raise wrong_field(f"{where}.fmax_hz", f"{spec.fmax_hz:g} is too high; {nyquist}")
        return self


#: The request of ``put`` is the definition itself.
StreamPut = StreamDefinition


class StreamGet(Message):
    """Request the definition and status of a stream."""

    name: Name


class StreamList(Message):
    """Request the definitions and status of all streams."""


class StreamDelete(Message):
    """Delete the definition of a stream; its stored data stays."""

    name: Name


class StreamPurge(Message):
    """Remove all stored data of a stream, which must be deleted first."""

    name: Name
    #: Whether to clear the cache of query replies, which may contain samples of the stream.
    cached_replies: bool = True


class StreamPurged(Message):
    """Reply to ``purge``: the numbers of removed items."""

    name: Name
    #: Messages of the signal log.
    chunks: Count
    #: Windows that were waiting for a worker.
    windows: Count
    results: Count
    events: Count
    markers: Count = 0
    #: Dead letters of windows, which contain samples.
    dead_letters: Count


class ClockStatus(Message):
    """The device's clock, compared with its sample count."""

    #: Drift of the clock against the nominal rate, parts per million; positive: it runs fast.
    drift_ppm: float
    #: Standard deviation of the time stamps about the fitted line, seconds.
    jitter_s: Annotated[float, Field(ge=0)]
    #: Number of time stamps in the fit, and of clock settings since the start of the epoch.
    stamps: Count
    steps: Count
    #: Sampling rate according to the stamps; None while there are too few.
    fs_hz: PositiveReal | None = None
    #: Number of stamps that were ignored because they were too far from the line.
    outliers: Count = 0


class StreamLag(Message):
    """Backlog of a stream."""

    #: Chunks in the log that ingest has not read.
    chunks: Count = 0
    #: Windows that are waiting for a worker or being computed.
    windows: Count = 0
    #: Age of the oldest of them.
    seconds: Annotated[float, Field(ge=0)] = 0.0


class ProvisionalStatus(Message):
    """Estimates of one octave of an analysis, compared with their exact values."""

    analysis: Name
    octave: Annotated[int, Field(ge=0, le=MAX_OCTAVE)]
    #: Position after the last sample that the models were fitted to; None before the first fit.
    fitted: Count | None = None
    #: Estimates compared since ingest follows the epoch, over all channels and rows.
    compared: Count
    #: Part of the exact values inside the 95 % interval, by quantity; empty if none was compared.
    coverage: dict[Name, Fraction]
    #: Median factor by which the intervals are wider than those of the model, by quantity.
    scale: dict[Name, PositiveReal]


class StreamProgress(Message):
    """Status of a stream since it was defined."""

    #: Whether chunks have an index; None before the first chunk.
    sequenced: bool | None = None
    epoch: Epoch | None = None
    #: Index of the next expected sample.
    next_sample: Count | None = None
    chunks: Count = 0
    windows: Count = 0
    last_chunk_ns: Count | None = None
    #: Sequence number in the signal log of the last chunk that was read.
    last_seq: Count | None = None
    #: The last epochs that ended; further chunks of them are refused.
    ended_epochs: Items[Epoch] = ()
    #: None if the device sends no time stamps.
    clock: ClockStatus | None = None
    lag: StreamLag = StreamLag()
    #: Calibration of provisional estimates, by analysis and octave.
    provisional: Annotated[
        Items[ProvisionalStatus], Field(exclude_if=lambda statuses: not statuses)
    ] = ()


class StreamStatus(StreamProgress):
    """Definition and status of a stream: the reply to ``put``, ``get`` and ``delete``.

    The status may be about a second old.
    """

    definition: StreamDefinition
    #: The ingest process that follows the stream; None: no process follows it at the moment.
    owner: str | None = None
    #: Size of the results per second of signal, estimated for float32 results without masks; only
    #: in the reply to ``put``.
    results_bytes_per_s: Annotated[Count | None, Field(exclude_if=lambda rate: rate is None)] = None


class StreamListing(Message):
    """Reply to ``list``."""

    streams: Items[StreamStatus]
