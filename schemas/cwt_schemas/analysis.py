"""The live analyses of a stream: what is transformed, how, and what is published."""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from cwt_schemas.limits import (
    MAX_BANDS,
    MAX_CHANNEL_SETS,
    MAX_DECIMATION,
    MAX_VOICES_PER_OCTAVE,
)
from cwt_schemas.message import (
    Items,
    Message,
    Name,
    PositiveReal,
    check_unique,
    wrong_field,
)

Op = Literal["cwt", "xwt", "wct", "pwct", "mwct"]
#: Operations with the quantity ``coherence``.
COHERENCES: tuple[Op, ...] = ("wct", "pwct", "mwct")
Wavelet = Literal["morlet", "paul", "dog"]
Quantity = Literal["complex", "power", "amplitude", "phase", "coherence"]
Convention = Literal["standard", "pycwt"]
EstimatedQuantity = Literal["complex", "amplitude", "phase"]
ChannelSet = tuple[str, ...]

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
        check_unique("quantities", self.quantities)
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
        check_unique("channels", self.channels)
        check_unique("bands", self.bands)
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
        check_unique(wanted, getattr(self, wanted))

    def _check_given(self) -> None:
        """Check the fields of partial and multiple coherence."""
        joint = self.op in ("pwct", "mwct")
        if (self.target is None) == (self.op == "mwct"):
            raise wrong_field("target", "is required for op mwct, and for no other")
        if bool(self.given) != joint:
            raise wrong_field("given", "is required for op pwct and mwct, and for no other")
        if self.deltaj0 is not None and not joint:
            raise wrong_field("deltaj0", "can be used only with op pwct or mwct")
        check_unique("given", self.given)
        if twice := (self.names_of("target") | self.names_of("pairs")) & self.names_of("given"):
            raise wrong_field("given", f"{min(twice)} is also in target or pairs")


def _hash(value: object) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:16]
