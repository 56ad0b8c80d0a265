"""Queries, which are answered immediately: transforms, levels, benchmarks, and the workers' state.

The fields are those of the REST service that came before, spelled as they were there.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from cwt_schemas.arrays import ComplexMatrix, ComplexVector, CountMatrix, RealMatrix, RealVector
from cwt_schemas.limits import (
    MAX_BENCHMARK_BACKENDS,
    MAX_INT64,
    MAX_MC_COUNT,
    MAX_OCTAVE,
    MAX_QUERY_SAMPLES,
    MAX_SCALES,
    MAX_SHARE_TASKS,
)
from cwt_schemas.message import (
    UNEQUAL_LENGTHS,
    Count,
    Items,
    Message,
    Name,
    PersistedMessage,
    PositiveCount,
    PositiveReal,
    Text,
    wrong_field,
)
from cwt_schemas.stream import Convention, Level, Wavelet

Precision = Literal["float32", "float64"]
LevelMethod = Literal["montecarlo", "table"]
#: Such as ``sequential``, ``joblib`` or ``cluster``.
BackendName = Name
Seed = Annotated[int, Field(ge=0, le=MAX_INT64)]
#: Time that the computation took, without the way there and back.
Seconds = Annotated[float, Field(ge=0)]
#: Whether it was computed for somebody else who asked the same; `computation_time` is of then.
Cached = bool

#: Of a red noise: correlation of neighbouring samples.
Lag1 = Annotated[float, Field(gt=-1, lt=1)]
#: As in `pycwt_mod.ar1`: "autocorrelation" where the series has no other estimate.
Estimator = Literal["allen-smith", "autocorrelation"]


class Lag1Estimate(Message):
    """The AR(1) coefficient of a signal, estimated for its level."""

    g: Lag1
    estimator: Estimator


#: Of the first and the second signal.
Lag1Pair = Annotated[Items[Lag1Estimate], Field(min_length=2, max_length=2)]


def _rounded_up(value: object) -> object:
    if isinstance(value, float) and math.isfinite(value) and (value > 0 or value.is_integer()):
        return math.ceil(value)
    return value


#: Number of scales less one. It need not be whole: 2.5 means four scales, as in pycwt.
LastRow = Annotated[
    int,
    Field(ge=0, lt=MAX_SCALES),
    BeforeValidator(
        _rounded_up, json_schema_input_type=Annotated[float, Field(ge=0, lt=MAX_SCALES)]
    ),
]
LastRowOrAutomatic = Annotated[
    int,
    Field(ge=-1, lt=MAX_SCALES),
    BeforeValidator(
        _rounded_up, json_schema_input_type=Annotated[float, Field(ge=-1, lt=MAX_SCALES)]
    ),
]


class WaveletChoice(Message):
    """With which wavelet, after whose conventions, in which precision."""

    mother: Wavelet = "morlet"
    #: Order or central frequency; -1 is the wavelet's usual one (6, 4 and 2).
    param: Annotated[float, Field(ge=-1)] = -1.0
    convention: Convention = "standard"
    #: In which precision to compute and to answer.
    dtype: Precision = "float64"

    @model_validator(mode="after")
    def _param_possible(self) -> Self:
        if self.param != -1 and self.param <= 0:
            raise wrong_field("param", f"{self.param:g} has to be > 0, or -1 for the usual one")
        return self


class LevelChoice(Message):
    """How a coherence's level of significance is found."""

    #: ``table`` looks up what was simulated before, within a millisecond, where it covers the case.
    method: LevelMethod = "montecarlo"
    #: Surrogate pairs.
    mc_count: Annotated[int, Field(ge=1, le=MAX_MC_COUNT)] = 300
    #: Where the surrogates are simulated.
    backend: BackendName = "sequential"
    #: Whether another backend may step in for one that isn't available.
    fallback: bool = False
    #: None lets the service choose; the reply says which it was.
    seed: Seed | None = None


class TransformRequest(WaveletChoice):
    """What all transforms take."""

    #: Sampling interval in seconds.
    dt: PositiveReal
    #: Distance of scales in octaves.
    dj: PositiveReal = 0.25
    #: Smallest scale in seconds; -1 is the usual one.
    s0: float = -1.0
    #: Number of scales less one; -1 is as many as the length allows.
    J: LastRowOrAutomatic = -1

    @model_validator(mode="after")
    def _s0_possible(self) -> Self:
        if self.s0 != -1 and self.s0 <= 0:
            raise wrong_field("s0", f"{self.s0:g} has to be > 0, or -1 for the usual one")
        return self


class PairRequest(TransformRequest):
    """What transforms of two signals take."""

    #: (time,), both of the same length; NaN is a missing sample.
    signal1: RealVector
    signal2: RealVector

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        _check_length("signal1", len(self.signal1))
        if len(self.signal1) != len(self.signal2):
            lengths = f"{len(self.signal2)} samples, signal1 has {len(self.signal1)}"
            raise wrong_field("signal2", lengths, reason=UNEQUAL_LENGTHS)
        return self


class CwtRequest(TransformRequest):
    """Asks for the wavelet transform of one signal."""

    #: (time,); NaN is a missing sample.
    data: RealVector

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_length("data", len(self.data))
        return self


class CwtReply(Message):
    """The wavelet transform."""

    #: (scale, time)
    wave: ComplexMatrix
    #: (scale,), in seconds.
    scales: RealVector
    #: (scale,), in Hz.
    freqs: RealVector
    #: (time,), the longest period in seconds that the edges leave alone.
    coi: RealVector
    #: Half of the signal's Fourier transform over √n, and its frequencies in Hz.
    fft: ComplexVector
    fftfreqs: RealVector
    computation_time: Seconds
    cached: Cached = False


class WctRequest(PairRequest, LevelChoice):
    """Asks for the wavelet coherence of two signals."""

    #: None leaves the significance out.
    significance_level: Level | None = 0.95


class WctReply(Message):
    """The wavelet coherence.

    Values are missing where more than 5 % of their energy is, here and in the other transforms.
    """

    #: (scale, time), coherence from 0 to 1.
    WCT: RealMatrix
    #: (scale, time), phase difference in radians.
    aWCT: RealMatrix  # noqa: N815 - the symbol of the field
    #: (time,), in seconds.
    coi: RealVector
    #: (scale,), in Hz.
    freqs: RealVector
    #: (scale,), NaN where no level can be given; none if none was asked for.
    signif: RealVector | None = None
    #: What the level was computed with; none if none was asked for.
    lag1: Lag1Pair | None = None
    #: None if nothing was simulated.
    backend_used: BackendName | None = None
    seed: Seed | None = None
    computation_time: Seconds
    cached: Cached = False


class XwtRequest(PairRequest):
    """Asks for the cross-wavelet transform of two signals."""

    significance_level: Level = 0.95


class XwtReply(Message):
    """The cross-wavelet transform."""

    #: (scale, time)
    xwt: ComplexMatrix
    #: (scale, time), phase difference in radians.
    phase: RealMatrix
    #: (time,), in seconds.
    coi: RealVector
    #: (scale,), in Hz.
    freqs: RealVector
    #: (scale,), of the cross power.
    signif: RealVector | None = None
    #: What the level was computed with.
    lag1: Lag1Pair | None = None
    computation_time: Seconds
    cached: Cached = False


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


class SignificanceReply(Message):
    """The level, per scale."""

    #: (scale,), NaN where no level can be given.
    signif: RealVector
    #: None if nothing was simulated.
    backend_used: BackendName | None = None
    seed: Seed | None = None
    computation_time: Seconds
    cached: Cached = False


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


# A share of a simulation is what one worker asks of the others; it decides the histograms bit for
# bit.


class NullRowsShape(Message):
    """The rows of one octave under the null hypothesis; times in samples of the noise.

    The fields are those of ``pycwt_mod.significance.surrogates.SurrogateOctave``.
    """

    wavelet: Wavelet
    param: PositiveReal
    scales: Annotated[Items[PositiveReal], Field(min_length=1, max_length=MAX_SCALES)]
    #: First and one past the last row that is counted.
    keep_first: Annotated[int, Field(ge=0, lt=MAX_SCALES)]
    keep_end: Annotated[int, Field(ge=1, le=MAX_SCALES)]
    step: PositiveCount
    length: PositiveCount
    #: Samples of a record with ends; 0 for endless noise.
    record: Count
    al1: Lag1
    al2: Lag1
    centred: bool
    #: Offset of the first weight of the smoothing over scales, and the weights.
    boxcar_first: Annotated[int, Field(ge=-MAX_SCALES, le=0)]
    boxcar_weights: Annotated[Items[float], Field(min_length=1, max_length=MAX_SCALES)]
    exact_ends: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.keep_first < self.keep_end <= len(self.scales):
            raise wrong_field("keep_end", f"beyond the {len(self.scales)} scales, or before first")
        if self.length % self.step or self.record > self.length:
            raise wrong_field("length", "no multiple of step, or shorter than the record")
        return self


class SimulationTask(Message):
    """Some surrogate pairs with a seed of their own."""

    pairs: Annotated[int, Field(ge=1, le=MAX_MC_COUNT)]
    #: What, with the seed, decides the random numbers.
    octave: Annotated[int, Field(ge=0, le=MAX_OCTAVE)]
    chunk: Count


class SimulateRequest(Message):
    """Asks for the histograms of a share of a simulation."""

    #: Of the algorithm; a worker of another version refuses, since its numbers differ.
    algorithm: PositiveCount
    rows: NullRowsShape
    #: The plan's seed, in decimal: it may have more than 63 bits.
    seed: Annotated[str, Field(pattern=r"^[0-9]{1,40}$")]
    tasks: Annotated[Items[SimulationTask], Field(min_length=1, max_length=MAX_SHARE_TASKS)]


class SimulateReply(Message):
    """How often R² fell into each bin."""

    #: (task and kept row, bin): the rows of the first task, then those of the second.
    histograms: CountMatrix


#: Samples of a benchmark: a coherence of fewer has hardly any scale.
LEAST_SAMPLES = 32


class BenchmarkRequest(Message):
    """Asks for the same coherence, with its level, on several backends."""

    signal_length: Annotated[int, Field(ge=LEAST_SAMPLES, le=MAX_QUERY_SAMPLES)] = 1000
    mc_count: Annotated[int, Field(ge=1, le=MAX_MC_COUNT)] = 300
    backends: Annotated[
        Items[BackendName], Field(min_length=1, max_length=MAX_BENCHMARK_BACKENDS)
    ] = ("sequential",)
    convention: Convention = "standard"
    dtype: Precision = "float64"

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.backends)) < len(self.backends):
            raise wrong_field("backends", "the same one twice")
        return self


class BackendTiming(Message):
    """What one backend took."""

    #: ``ok`` means that it computed; whether it computed the same is in `max_difference`.
    status: Literal["ok", "unavailable", "failed"]
    #: Median of several runs after one that does not count.
    computation_time: Seconds | None = None
    #: How many times faster than ``sequential``, below 1 if it is slower.
    speedup: Annotated[float, Field(gt=0)] | None = None
    #: Largest difference of its level from that of ``sequential``.
    max_difference: Annotated[float, Field(ge=0)] | None = None
    error: Text | None = None


class BenchmarkReply(Message):
    """What each backend took; ``sequential`` is always among them, as the measure."""

    signal_length: int
    mc_count: int
    results: dict[BackendName, BackendTiming]


class BackendsRequest(Message):
    """Asks which Monte Carlo backends there are."""


class BackendRequest(Message):
    """Asks for one Monte Carlo backend."""

    name: BackendName


class BackendInfo(Message):
    """One Monte Carlo backend."""

    name: BackendName
    available: bool
    description: Text
    #: Such as ``cpu`` or ``fpga``.
    type: Annotated[str, Field(max_length=64)]
    #: Why it is not available.
    error: Text | None = None


class BackendsReply(Message):
    """All Monte Carlo backends."""

    backends: Items[BackendInfo]


class HealthRequest(Message):
    """Asks a service how it is."""


class HealthReply(Message):
    """How a service is."""

    status: Literal["ok", "degraded", "stopping"]
    version: Annotated[str, Field(max_length=64)]
    uptime_s: Seconds
    #: Messages that wait for this service; none when it can't be known.
    lag: Count | None = None
    #: What is wrong, one sentence each: with the storage, the queues, or services that are missing.
    problems: Items[Text] = ()


#: As in the metadata of a NATS service, such as ``query.wct/1``, or the endpoint's subject.
SchemaName = Annotated[str, Field(min_length=1, max_length=256)]


class SchemaRequest(Message):
    """Asks what an endpoint takes and gives."""

    name: SchemaName


class SchemaReply(Message):
    """What an endpoint takes and gives, as JSON Schema (2020-12)."""

    name: SchemaName
    subject: SchemaName
    request: dict[str, JsonValue]
    reply: dict[str, JsonValue]
    #: Of any refusal.
    error: dict[str, JsonValue]
    #: Of what comes in place of a reply that is too large for a message.
    stored: dict[str, JsonValue]


def _check_length(field: str, length: int) -> None:
    if length > MAX_QUERY_SAMPLES:
        raise wrong_field(field, f"{length} samples, {MAX_QUERY_SAMPLES} are possible")
