"""Stream definitions, their live analyses, the requests about them, and a stream's status."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal, Self

import orjson
from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from cwt_schemas.limits import (
    MAX_ANALYSES,
    MAX_BANDS,
    MAX_CHANNEL_SETS,
    MAX_CHANNELS,
    MAX_DECIMATION,
    MAX_FS_HZ,
    MAX_OCTAVE,
    MAX_REORDER_S,
    MAX_VOICES_PER_OCTAVE,
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
    listed,
    wrong_field,
)

Op = Literal["cwt", "xwt", "wct", "pwct", "mwct"]
#: Operations with the quantity ``coherence``.
COHERENCES: tuple[Op, ...] = ("wct", "pwct", "mwct")
Wavelet = Literal["morlet", "paul", "dog"]
Quantity = Literal["complex", "power", "amplitude", "phase", "coherence"]
Convention = Literal["standard", "pycwt"]
EstimatedQuantity = Literal["complex", "amplitude", "phase"]
WhenBehind = Literal["keep", "latest"]
ChannelSet = tuple[str, ...]

#: Default of `stale_after_s`: the age up to which a closed loop can use a result.
DEFAULT_STALE_AFTER_S = 1.0

# Defaults for definitions that a program derives from a signal.

#: Highest frequency in units of the sampling rate. The live transform with Morlet 6 is exact up to
#: 0.28.
TOP_OF_RATE = 1 / 4
#: Default hop of the highest octave, in periods of the highest frequency.
HOP_PERIODS = 8
#: Shortest `hop_s`, seconds: an octave then has a fifth of the results that a stream may have.
MIN_HOP_S = 0.001

#: Most given channels of an analysis: more than any smoothing carries.
MAX_GIVEN = 14
Level = Annotated[float, Field(gt=0, lt=1)]
Pair = Items[Name]
#: Lowest and highest frequency, Hz.
Band = Annotated[Items[PositiveReal], Field(min_length=2, max_length=2)]


class _AllOrListed:
    """Schema of ``"all"`` or a list, whose errors name the elements of the list."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def validate(value: object, listed: ValidatorFunctionWrapHandler) -> object:
            return value if value == "all" else listed(value)

        pairs = handler.generate_schema(Annotated[Items[Pair], Field(max_length=MAX_CHANNEL_SETS)])
        unchanged = core_schema.plain_serializer_function_ser_schema(lambda value: value)
        return core_schema.no_info_wrap_validator_function(validate, pairs, serialization=unchanged)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        pairs = handler(schema["schema"])
        return {"anyOf": [{"enum": ["all"], "type": "string"}, pairs]}


#: Pairs of channels, or all pairs of the channels of an analysis.
Pairs = Annotated[Literal["all"] | tuple[Pair, ...], _AllOrListed()]
Fraction = Annotated[float, Field(ge=0, le=1)]


#: Not allowed as the name of a stream: ``cwt.event.hw`` carries the events of devices.
RESERVED_NAME = "hw"


class Channel(Message):
    """A measured quantity: one column of the samples."""

    name: Name
    #: Unit of the samples, such as ``uV``; used for display only.
    unit: Annotated[str, Field(max_length=32)] | None = None


class SignificanceSpec(Message):
    """The significance level of an analysis."""

    #: Probability with which the coherence of unrelated noise stays below the threshold.
    level: Level = 0.95


class ProvisionalSpec(Message):
    """Estimates of the newest coefficients, before all samples that affect them have arrived."""

    #: Each row is estimated at the smallest delay at which its standard error is below this part of
    #: the row's RMS.
    max_error: Annotated[float, Field(gt=0, lt=1)] | None = None
    #: Fixed delay of the estimates behind the newest sample, seconds.
    delay_s: Annotated[float, Field(ge=0)] | None = None
    #: What the estimates contain.
    quantities: Annotated[Items[EstimatedQuantity], Field(min_length=1)] = ("amplitude", "phase")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.max_error is None) == (self.delay_s is None):
            raise wrong_field("max_error", "pass either max_error or delay_s")
        _check_unique("quantities", self.quantities)
        return self


class AnalysisSpec(Message):
    """A transform of channels, or of pairs of channels, of a stream."""

    name: Name
    op: Op
    #: For ``cwt``: the channels, each transformed separately. With ``"all"`` pairs: the channels
    #: whose pairs are computed, by default all channels of the stream.
    channels: Annotated[Items[Name], Field(max_length=MAX_CHANNEL_SETS)] = ()
    #: For ``xwt``, ``wct`` and ``pwct``: the pairs of channels. For ``wct`` also ``"all"``: the
    #: results of all pairs are then in one message.
    pairs: Pairs = ()
    # The next fields are omitted without effect, because version 0.1.0 does not know them.
    #: With ``"all"`` pairs: publish the mean over the scales in each of these bands instead of
    #: every scale.
    bands: Annotated[
        Items[Band], Field(max_length=MAX_BANDS, exclude_if=lambda bands: not bands)
    ] = ()
    #: With ``"all"`` pairs: publish every Nth column.
    decimate: Annotated[
        int, Field(ge=1, le=MAX_DECIMATION, exclude_if=lambda every: every == 1)
    ] = 1
    #: With ``"all"`` pairs: publish the phase too, which doubles the size of the results.
    phase: Annotated[bool, Field(exclude_if=lambda phase: not phase)] = False
    #: For ``pwct`` and ``mwct``: the channels that are taken into account.
    given: Annotated[
        Items[Name], Field(max_length=MAX_GIVEN, exclude_if=lambda names: not names)
    ] = ()
    #: For ``mwct``: the channel that the given ones explain.
    target: Annotated[Name | None, Field(exclude_if=lambda name: name is None)] = None
    #: For both: width in octaves of the smoothing over scales; None: that of the wavelet.
    deltaj0: Annotated[PositiveReal | None, Field(exclude_if=lambda width: width is None)] = None
    wavelet: Wavelet = "morlet"
    #: Order or central frequency of the wavelet; -1 selects 6, 4 or 2.
    param: Annotated[float, Field(ge=-1)] = -1.0
    voices_per_octave: Annotated[int, Field(ge=1, le=MAX_VOICES_PER_OCTAVE)] = 12
    fmin_hz: PositiveReal
    fmax_hz: PositiveReal
    #: Interval between windows of the highest octave, seconds; 2**k times as long for octave k.
    hop_s: PositiveReal
    quantity: Quantity
    significance: SignificanceSpec | None = None
    convention: Convention = "standard"
    #: For ``cwt``: estimates on ``cwt.now.<stream>.<analysis>``, in addition to the results.
    provisional: Annotated[
        ProvisionalSpec | None, Field(exclude_if=lambda options: options is None)
    ] = None

    @property
    def channel_sets(self) -> tuple[ChannelSet, ...]:
        """The channels that are transformed together: single channels, or the pairs.

        The given channels follow the pair or the target that they are taken into account for.
        """
        if self.pairs == "all":
            return tuple(combinations(self.channels, 2))
        if self.op == "mwct":
            return ((self.target or "", *self.given),)
        if self.op == "pwct":
            return tuple((*pair, *self.given) for pair in self.pairs)
        return self.pairs or tuple((name,) for name in self.channels)

    @property
    def n_sets(self) -> int:
        """The number of channel sets."""
        if self.pairs == "all":
            return len(self.channels) * (len(self.channels) - 1) // 2
        return len(self.channel_sets)

    @property
    def used_channels(self) -> ChannelSet:
        """The channels of all sets, without duplicates."""
        if self.pairs == "all":
            return self.channels
        return tuple(dict.fromkeys(name for each in self.channel_sets for name in each))

    def names_of(self, field: str) -> set[Name]:
        """Return the channels that a field of the analysis names."""
        if field == "target":
            return set() if self.target is None else {self.target}
        if field == "pairs":
            return set() if self.pairs == "all" else {name for pair in self.pairs for name in pair}
        return {*getattr(self, field)}

    def of_channels(self, names: ChannelSet) -> AnalysisSpec:
        """Return the same analysis; all pairs of unnamed channels become those of `names`."""
        if self.pairs != "all" or self.channels:
            return self
        return self.model_copy(update={"channels": names})

    def narrowed(self, *sets: ChannelSet) -> AnalysisSpec:
        """Return the same analysis with only these channel sets."""
        if self.op == "mwct" or self.pairs == "all":
            return self
        if self.op == "pwct":
            return self.model_copy(update={"pairs": tuple(each[:2] for each in sets)})
        own = {"channels": tuple(c for each in sets for c in each)} if self.op == "cwt" else {}
        return self.model_copy(update=own or {"pairs": sets})

    def spec_hash(self, *, fs_hz: float, channels: ChannelSet | None = None) -> str:
        """Return 16 hexadecimal characters that identify this computation, in every process.

        With `channels`, the hash is that of one channel set and does not depend on the other sets,
        so adding a set leaves the results of the others valid. Without, it is that of all sets.

        Fields with their default value do not count, so a new optional field changes no hash.
        """
        sets = {"sets": self._sets} if channels is None else {"channels": channels}
        return _hash({**self._hashed(fs_hz), **sets})

    def part_hash(self, *, fs_hz: float, first_pair: int, n_pairs: int) -> str:
        """Return `spec_hash` of a message with some of all pairs."""
        if n_pairs == self.n_sets:
            return self.spec_hash(fs_hz=fs_hz)
        part = {"sets": self._sets, "part": [first_pair, n_pairs]}
        return _hash({**self._hashed(fs_hz), **part})

    @property
    def _sets(self) -> object:
        """The channel sets for a hash."""
        return {"all": self.channels} if self.pairs == "all" else self.channel_sets

    def set_hashes(self, *, fs_hz: float) -> tuple[str, ...]:
        """Return `spec_hash` of each channel set."""
        own = self._hashed(fs_hz)
        return tuple(_hash({**own, "channels": channels}) for channels in self.channel_sets)

    def _hashed(self, fs_hz: float) -> dict[str, object]:
        # Estimates do not change the results.
        sets = {"channels", "pairs", "provisional"}
        own = self.model_dump(mode="json", by_alias=True, exclude=sets, exclude_defaults=True)
        return {"analysis": own, "fs_hz": float(fs_hz)}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.param != -1 and self.param <= 0:
            raise wrong_field("param", f"{self.param:g} must be > 0, or -1 for the default")
        if self.fmin_hz >= self.fmax_hz:
            problem = f"{self.fmin_hz:g} must be below fmax_hz = {self.fmax_hz:g}"
            raise wrong_field("fmin_hz", problem)
        if (self.op in COHERENCES) != (self.quantity == "coherence"):
            raise wrong_field("quantity", f"cannot use {self.quantity!r} with op {self.op}")
        if self.significance is not None and self.op not in COHERENCES:
            # Other thresholds depend on the variance of the whole recording, which is unknown live.
            raise wrong_field(
                "significance", f"cannot be used with op {self.op}, only with wct, pwct or mwct"
            )
        if self.provisional is not None and self.op != "cwt":
            raise wrong_field("provisional", f"cannot be used with op {self.op}, only with cwt")
        self._check_channels()
        return self

    def _check_all_pairs(self) -> None:
        """Check the fields of an analysis of all pairs."""
        if self.pairs != "all":
            for field, unused in (("bands", ()), ("decimate", 1), ("phase", False)):
                if getattr(self, field) != unused:
                    raise wrong_field(field, "can be used only with pairs 'all'")
            return
        if self.op != "wct":
            raise wrong_field("pairs", f"cannot be 'all' with op {self.op}, only with wct")
        if len(self.channels) == 1:
            raise wrong_field("channels", "at least two are required for their pairs")
        _check_unique("channels", self.channels)
        _check_unique("bands", self.bands)
        for low, high in self.bands:
            if not self.fmin_hz <= low < high <= self.fmax_hz:
                axis = f"[fmin_hz, fmax_hz] = [{self.fmin_hz:g}, {self.fmax_hz:g}]"
                raise wrong_field("bands", f"[{low:g}, {high:g}] must ascend and be within {axis}")

    def _check_channels(self) -> None:
        self._check_given()
        self._check_all_pairs()
        if self.pairs == "all":
            return
        if self.op == "mwct":
            for field in ("channels", "pairs"):
                if getattr(self, field):
                    raise wrong_field(field, "cannot be used with op mwct; use target and given")
            return
        wanted, other = ("channels", "pairs") if self.op == "cwt" else ("pairs", "channels")
        if getattr(self, other):
            raise wrong_field(other, f"cannot be used with op {self.op}; use {wanted}")
        if not getattr(self, wanted):
            raise wrong_field(wanted, f"at least one is required for op {self.op}")
        if any(len(pair) != 2 or pair[0] == pair[1] for pair in self.pairs):
            raise wrong_field("pairs", "each pair must have two different channels")
        _check_unique(wanted, getattr(self, wanted))

    def _check_given(self) -> None:
        """Check the fields of partial and multiple coherence."""
        joint = self.op in ("pwct", "mwct")
        if (self.target is None) == (self.op == "mwct"):
            raise wrong_field("target", "is required for op mwct, and for no other")
        if bool(self.given) != joint:
            raise wrong_field("given", "is required for op pwct and mwct, and for no other")
        if self.deltaj0 is not None and not joint:
            raise wrong_field("deltaj0", "can be used only with op pwct or mwct")
        _check_unique("given", self.given)
        if twice := (self.names_of("target") | self.names_of("pairs")) & self.names_of("given"):
            raise wrong_field("given", f"{min(twice)} is also in target or pairs")


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
        _check_unique("channels", self.channel_names)
        _check_unique("analyses", [each.name for each in self.analyses])
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


def _hash(value: object) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:16]


def _check_unique(field: str, items: Iterable[object]) -> None:
    listed = list(items)
    if len(set(listed)) < len(listed):
        raise wrong_field(field, "contains duplicates")
