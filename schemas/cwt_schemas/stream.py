"""Stream definitions, their live analyses, the requests about them, and a stream's status."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

import orjson
from pydantic import Field, model_validator

from cwt_schemas.limits import (
    MAX_ANALYSES,
    MAX_CHANNEL_SETS,
    MAX_CHANNELS,
    MAX_FS_HZ,
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
    listed,
    wrong_field,
)

Op = Literal["cwt", "xwt", "wct"]
Wavelet = Literal["morlet", "paul", "dog"]
Quantity = Literal["complex", "power", "amplitude", "phase", "coherence"]
Convention = Literal["standard", "pycwt"]
WhenBehind = Literal["keep", "latest"]
ChannelSet = tuple[str, ...]

#: What a closed loop can still use, where a definition does not say.
DEFAULT_STALE_AFTER_S = 1.0

# Defaults for definitions that a program derives from a signal.

#: Highest frequency in units of the sampling rate: below 0.28, up to which the live transform with
#: Morlet 6 is exact.
TOP_OF_RATE = 1 / 4
#: Periods of the highest frequency between two results of the highest octave.
HOP_PERIODS = 8
#: Fewest seconds between them: an octave has a fifth of the results that a stream may have.
MIN_HOP_S = 0.001

Level = Annotated[float, Field(gt=0, lt=1)]
Pair = Items[Name]


#: No stream has this name: the hardware's events are where its own would be.
RESERVED_NAME = "hw"


class Channel(Message):
    """One measured quantity."""

    name: Name
    #: Such as ``uV``; for people, nothing is computed from it.
    unit: Annotated[str, Field(max_length=32)] | None = None


class SignificanceSpec(Message):
    """Which significance level the results carry."""

    level: Level = 0.95


class AnalysisSpec(Message):
    """One transform of some channels or pairs of channels of a stream."""

    name: Name
    op: Op
    #: Of ``cwt``: each one is transformed by itself.
    channels: Annotated[Items[Name], Field(max_length=MAX_CHANNEL_SETS)] = ()
    #: Of ``xwt`` and ``wct``.
    pairs: Annotated[Items[Pair], Field(max_length=MAX_CHANNEL_SETS)] = ()
    wavelet: Wavelet = "morlet"
    #: Order or central frequency; -1 is the wavelet's usual one (6, 4 and 2).
    param: Annotated[float, Field(ge=-1)] = -1.0
    voices_per_octave: Annotated[int, Field(ge=1, le=MAX_VOICES_PER_OCTAVE)] = 12
    fmin_hz: PositiveReal
    fmax_hz: PositiveReal
    #: Seconds by which the windows of the highest octave advance; of octave k, 2**k times that.
    hop_s: PositiveReal
    quantity: Quantity
    significance: SignificanceSpec | None = None
    convention: Convention = "standard"

    @property
    def channel_sets(self) -> tuple[ChannelSet, ...]:
        """What is transformed together: each channel by itself, or the pairs."""
        return self.pairs or tuple((name,) for name in self.channels)

    def narrowed(self, *sets: ChannelSet) -> AnalysisSpec:
        """Return the analysis of these channel sets alone."""
        own = {"channels": tuple(c for each in sets for c in each)} if self.op == "cwt" else {}
        return self.model_copy(update=own or {"pairs": sets})

    def spec_hash(self, *, fs_hz: float, channels: ChannelSet | None = None) -> str:
        """Return 16 hexadecimal characters that name this computation.

        With `channels`, that of one channel set: the analysis's other sets don't count, so adding
        one leaves the results of the others as they are. Without, that of all its sets.

        What has its default value does not count, so that a field to come changes no hash. The
        same in every process.
        """
        sets = {"sets": self.channel_sets} if channels is None else {"channels": channels}
        return _hash({**self._hashed(fs_hz), **sets})

    def set_hashes(self, *, fs_hz: float) -> tuple[str, ...]:
        """Return `spec_hash` of each channel set."""
        own = self._hashed(fs_hz)
        return tuple(_hash({**own, "channels": channels}) for channels in self.channel_sets)

    def _hashed(self, fs_hz: float) -> dict[str, object]:
        own = self.model_dump(
            mode="json", by_alias=True, exclude={"channels", "pairs"}, exclude_defaults=True
        )
        return {"analysis": own, "fs_hz": float(fs_hz)}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.param != -1 and self.param <= 0:
            raise wrong_field("param", f"{self.param:g} has to be > 0, or -1 for the usual one")
        if self.fmin_hz >= self.fmax_hz:
            problem = f"{self.fmin_hz:g} has to be below fmax_hz = {self.fmax_hz:g}"
            raise wrong_field("fmin_hz", problem)
        if (self.op == "wct") != (self.quantity == "coherence"):
            raise wrong_field("quantity", f"{self.quantity!r} is not possible for {self.op}")
        if self.significance is not None and self.op != "wct":
            # Their levels scale with the variance of the whole recording, which live nobody knows.
            raise wrong_field("significance", f"live levels are of wct, and this is {self.op}")
        self._check_channels()
        return self

    def _check_channels(self) -> None:
        wanted, other = ("channels", "pairs") if self.op == "cwt" else ("pairs", "channels")
        if getattr(self, other):
            raise wrong_field(other, f"{self.op} takes {wanted}")
        if not getattr(self, wanted):
            raise wrong_field(wanted, f"at least one is needed for {self.op}")
        if any(len(pair) != 2 or pair[0] == pair[1] for pair in self.pairs):
            raise wrong_field("pairs", "each one is two different channels")
        _check_unique(wanted, getattr(self, wanted))


class StreamDefinition(PersistedMessage):
    """A stream: its rate, its channels, and the analyses that run while it is live."""

    #: People write definitions by hand; what is kept has it.
    schema_required: ClassVar[bool] = False

    schema_id: Literal["stream.definition/1"] = Field(default="stream.definition/1", alias="schema")
    name: Name
    fs_hz: Annotated[float, Field(ge=MIN_FS_HZ, le=MAX_FS_HZ)]
    channels: Annotated[Items[Channel], Field(min_length=1, max_length=MAX_CHANNELS)]
    analyses: Annotated[Items[AnalysisSpec], Field(max_length=MAX_ANALYSES)] = ()
    #: The first message of the signal log that counts; none: the first one to come.
    start_seq: PositiveCount | None = None
    #: How far the samples may run on while a missing chunk is waited for, seconds; 0: not at all.
    reorder_s: Annotated[float, Field(ge=0, le=MAX_REORDER_S)] = 1.0
    #: When workers are slower than the device: keep every window, or drop those that are too old.
    when_behind: WhenBehind = "keep"
    #: Windows whose samples have been waiting for longer are dropped; for ``latest`` alone.
    stale_after_s: PositiveReal | None = None

    @property
    def drop_after_s(self) -> float | None:
        """Age at which a window is dropped, seconds; None where every one is kept."""
        if self.when_behind == "keep":
            return None
        return self.stale_after_s or DEFAULT_STALE_AFTER_S

    @property
    def channel_names(self) -> ChannelSet:
        """The channels' names, in the order of the samples' columns."""
        return tuple(channel.name for channel in self.channels)

    def analysis(self, name: str) -> AnalysisSpec | None:
        """Return the analysis of that name, or None."""
        return next((each for each in self.analyses if each.name == name), None)

    def same_as(self, other: StreamDefinition) -> bool:
        """Return whether `other` asks for the same, or for the same from anywhere."""
        anywhere = {"start_seq": None}
        if other.start_seq not in (None, self.start_seq):
            return False
        return self.model_copy(update=anywhere) == other.model_copy(update=anywhere)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name == RESERVED_NAME:
            raise wrong_field("name", f"{RESERVED_NAME} stands for the hardware in events")
        if self.stale_after_s is not None and self.when_behind == "keep":
            problem = (
                "nothing is dropped where when_behind is 'keep'; say 'latest', or leave it out"
            )
            raise wrong_field("stale_after_s", problem)
        _check_unique("channels", self.channel_names)
        _check_unique("analyses", [each.name for each in self.analyses])
        known = set(self.channel_names)
        for spec in self.analyses:
            where = f"analyses.{spec.name}"
            unknown = {name for group in spec.channel_sets for name in group} - known
            if unknown:
                problem = f"the stream has no channel {listed(sorted(unknown), 5)}"
                problem += f"; there are {listed(self.channel_names)}"
                field = "channels" if spec.op == "cwt" else "pairs"
                raise wrong_field(f"{where}.{field}", problem)
            if spec.fmax_hz > self.fs_hz / 2:
                nyquist = f"half of fs_hz = {self.fs_hz:g} is {self.fs_hz / 2:g}"
                raise wrong_field(f"{where}.fmax_hz", f"{spec.fmax_hz:g} is too high, {nyquist}")
        return self


#: The request of ``put`` is the definition itself.
StreamPut = StreamDefinition


class StreamGet(Message):
    """Asks for one stream."""

    name: Name


class StreamList(Message):
    """Asks for all streams."""


class StreamDelete(Message):
    """Ends one stream; its log and results stay."""

    name: Name


class StreamPurge(Message):
    """Removes everything that is stored of a stream, which has to be deleted first."""

    name: Name


class StreamPurged(Message):
    """What was removed of a stream: the reply to ``purge``."""

    name: Name
    #: Messages of the signal log.
    chunks: Count
    #: Windows that no worker had computed.
    windows: Count
    results: Count
    events: Count
    markers: Count = 0
    #: Windows that were given up, with the samples in them.
    dead_letters: Count


class ClockStatus(Message):
    """The device's clock against its count of samples."""

    #: How much faster it runs than samples come at the nominal rate, parts per million.
    drift_ppm: float
    #: Standard deviation of the time stamps about the fitted line, seconds.
    jitter_s: Annotated[float, Field(ge=0)]
    #: Time stamps in the fit, and how often the clock was set since the epoch began.
    stamps: Count
    steps: Count
    #: The sampling rate by the stamps; None while they are too few.
    fs_hz: PositiveReal | None = None
    #: Stamps that were too far from the line to be believed.
    outliers: Count = 0


class StreamLag(Message):
    """How far the computation is behind the device."""

    #: Chunks in the log that nobody has taken yet.
    chunks: Count = 0
    #: Windows that wait for a worker or are being computed.
    windows: Count = 0
    #: How long the oldest of both has been waiting.
    seconds: Annotated[float, Field(ge=0)] = 0.0


class StreamProgress(Message):
    """How far a stream has come since it was defined."""

    #: Whether chunks say where they belong; none until the first one came.
    sequenced: bool | None = None
    epoch: Epoch | None = None
    #: Index of the sample that is expected next.
    next_sample: Count | None = None
    chunks: Count = 0
    windows: Count = 0
    last_chunk_ns: Count | None = None
    #: Place in the signal log of the last chunk that was looked at.
    last_seq: Count | None = None
    #: The last epochs that ended; what comes of them is refused.
    ended_epochs: Items[Epoch] = ()
    #: None where the device sends no time stamps.
    clock: ClockStatus | None = None
    lag: StreamLag = StreamLag()


class StreamStatus(StreamProgress):
    """A stream, and how far it has come. The reply to ``put``, ``get`` and ``delete``.

    At most about a second old.
    """

    definition: StreamDefinition
    #: The process that follows it; none: nobody does at the moment.
    owner: str | None = None


class StreamListing(Message):
    """The reply to ``list``."""

    streams: Items[StreamStatus]


def _hash(value: object) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:16]


def _check_unique(field: str, items: Iterable[object]) -> None:
    listed = list(items)
    if len(set(listed)) < len(listed):
        raise wrong_field(field, "the same one twice")
