"""Queries to compute workers: transforms, significance thresholds, backends and benchmarks.

The names of the fields are those of the earlier REST service.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from cwt_schemas.analysis import Convention, Level, Wavelet
from cwt_schemas.arrays import ComplexMatrix, ComplexVector, RealMatrix, RealVector
from cwt_schemas.limits import (
    MAX_BENCHMARK_BACKENDS,
    MAX_INT64,
    MAX_MC_COUNT,
    MAX_QUERY_SAMPLES,
    MAX_SCALES,
)
from cwt_schemas.message import (
    UNEQUAL_LENGTHS,
    Count,
    Items,
    Message,
    Name,
    PersistedMessage,
    PositiveReal,
    Text,
    wrong_field,
)

Precision = Literal["float32", "float64"]
LevelMethod = Literal["montecarlo", "table"]
#: Name of a Monte Carlo backend, such as ``sequential``, ``joblib`` or ``cluster``.
BackendName = Name
Seed = Annotated[int, Field(ge=0, le=MAX_INT64)]
#: Time that the computation took, without transport.
Seconds = Annotated[float, Field(ge=0)]
#: Whether the reply was computed for an earlier identical query; `computation_time` is that of the
#: earlier one.
Cached = bool

#: Lag-1 coefficient of red noise: the correlation of neighbouring samples.
Lag1 = Annotated[float, Field(gt=-1, lt=1)]
#: Estimator of the lag-1 coefficient, as in `pycwt_mod.ar1`: "autocorrelation" if the series has no
#: other estimate.
Estimator = Literal["allen-smith", "autocorrelation"]


class Lag1Estimate(Message):
    """The lag-1 coefficient of a signal that the significance threshold is based on."""

    g: Lag1
    estimator: Estimator


#: Estimates of the first and the second signal.
Lag1Pair = Annotated[Items[Lag1Estimate], Field(min_length=2, max_length=2)]


def _rounded_up(value: object) -> object:
    if isinstance(value, float) and math.isfinite(value) and (value > 0 or value.is_integer()):
        return math.ceil(value)
    return value


#: Number of scales less one. It may have a fraction: 2.5 means four scales, as in pycwt.
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
    """Wavelet, convention and precision of a transform."""

    mother: Wavelet = "morlet"
    #: Order or central frequency of the wavelet; -1 selects 6, 4 or 2.
    param: Annotated[float, Field(ge=-1)] = -1.0
    convention: Convention = "standard"
    #: Precision of the computation and of the reply.
    dtype: Precision = "float64"

    @model_validator(mode="after")
    def _param_possible(self) -> Self:
        if self.param != -1 and self.param <= 0:
            raise wrong_field("param", f"{self.param:g} must be > 0, or -1 for the default")
        return self


class LevelChoice(Message):
    """How the significance threshold of coherence is found."""

    #: ``table`` looks the threshold up within a millisecond, where the table covers the case.
    method: LevelMethod = "montecarlo"
    #: Number of surrogate pairs.
    mc_count: Annotated[int, Field(ge=1, le=MAX_MC_COUNT)] = 300
    #: Backend that simulates the surrogates.
    backend: BackendName = "sequential"
    #: Whether another backend may replace one that is not available.
    fallback: bool = False
    #: None: derived from the content of the request; the reply has it.
    seed: Seed | None = None


class TransformRequest(WaveletChoice):
    """Arguments of all transforms."""

    #: Sampling interval in seconds.
    dt: PositiveReal
    #: Spacing of the scales in octaves.
    dj: PositiveReal = 0.25
    #: Smallest scale in seconds; -1 selects the default.
    s0: float = -1.0
    #: Number of scales less one; -1 selects as many as the length allows.
    J: LastRowOrAutomatic = -1

    @model_validator(mode="after")
    def _s0_possible(self) -> Self:
        if self.s0 != -1 and self.s0 <= 0:
            raise wrong_field("s0", f"{self.s0:g} must be > 0, or -1 for the default")
        return self


class PairRequest(TransformRequest):
    """Arguments of transforms of two signals."""

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
    """Request the wavelet transform of one signal."""

    #: (time,); NaN is a missing sample.
    data: RealVector

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_length("data", len(self.data))
        return self


class CwtReply(Message):
    """The wavelet transform of one signal."""

    #: (scale, time)
    wave: ComplexMatrix
    #: (scale,), in seconds.
    scales: RealVector
    #: (scale,), in Hz.
    freqs: RealVector
    #: (time,), the longest period in seconds that the edges do not affect.
    coi: RealVector
    #: Positive half of the signal's Fourier transform divided by √n, and its frequencies in Hz.
    fft: ComplexVector
    fftfreqs: RealVector
    computation_time: Seconds
    cached: Cached = False


class WctRequest(PairRequest, LevelChoice):
    """Request the wavelet coherence of two signals."""

    #: None: no significance threshold.
    significance_level: Level | None = 0.95


class WctReply(Message):
    """The wavelet coherence of two signals.

    As in the other transforms, a value is missing if more than 5 % of its energy is missing.
    """

    #: (scale, time), coherence from 0 to 1.
    WCT: RealMatrix
    #: (scale, time), phase difference in radians.
    aWCT: RealMatrix  # noqa: N815 - the symbol of the field
    #: (time,), in seconds.
    coi: RealVector
    #: (scale,), in Hz.
    freqs: RealVector
    #: (scale,), the significance threshold, NaN where there is none; None if not requested.
    signif: RealVector | None = None
    #: Lag-1 coefficients that the threshold was computed with; None without a threshold.
    lag1: Lag1Pair | None = None
    #: None if nothing was simulated.
    backend_used: BackendName | None = None
    seed: Seed | None = None
    computation_time: Seconds
    cached: Cached = False


#: Most signals of a partial or multiple coherence; more than the smoothing of any wavelet carries.
MAX_JOINT_SIGNALS = 16


class JointRequest(TransformRequest, LevelChoice):
    """Arguments of coherences of several signals."""

    #: (signal, time), the signals that are taken into account; NaN is a missing sample.
    given: RealMatrix
    #: Width in octaves of the smoothing over scales; None: that of the wavelet.
    deltaj0: PositiveReal | None = None
    #: None: no significance threshold.
    significance_level: Level | None = 0.95

    def _check_given(self, field: str, length: int, others: int) -> None:
        """Check that the given signals are as long as `field`, and not too many with `others`."""
        _check_length(field, length)
        signals, samples = self.given.shape
        if not 1 <= signals <= MAX_JOINT_SIGNALS - others:
            raise wrong_field("given", f"{signals} signals, 1 to {MAX_JOINT_SIGNALS - others}")
        if samples != length:
            raise wrong_field(
                "given", f"{samples} samples, {field} has {length}", reason=UNEQUAL_LENGTHS
            )


class PwctRequest(JointRequest):
    """Request the partial coherence of two signals given others."""

    #: (time,), both of the same length; NaN is a missing sample.
    signal1: RealVector
    signal2: RealVector

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_given("signal1", len(self.signal1), others=2)
        if len(self.signal1) != len(self.signal2):
            lengths = f"{len(self.signal2)} samples, signal1 has {len(self.signal1)}"
            raise wrong_field("signal2", lengths, reason=UNEQUAL_LENGTHS)
        return self


class MwctRequest(JointRequest):
    """Request the multiple coherence of a signal with others."""

    #: (time,); NaN is a missing sample.
    target: RealVector

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_given("target", len(self.target), others=1)
        return self


class JointReply(Message):
    """The fields that the replies of partial and multiple coherence have in common."""

    #: (time,), in seconds.
    coi: RealVector
    #: (scale,), in Hz.
    freqs: RealVector
    #: (scale,), the significance threshold, NaN where there is none; None if not requested.
    signif: RealVector | None = None
    #: Lag-1 coefficients of all signals, in the order of the request; None without a threshold.
    lag1: Items[Lag1Estimate] | None = None
    #: None if nothing was simulated.
    backend_used: BackendName | None = None
    seed: Seed | None = None
    computation_time: Seconds
    cached: Cached = False


class PwctReply(JointReply):
    """The partial coherence of two signals.

    A value is missing as in the reply of ``wct``, and where the other signals leave next to nothing
    of one.
    """

    #: (scale, time), coherence from 0 to 1 of what the given signals leave.
    PWCT: RealMatrix
    #: (scale, time), its phase difference in radians.
    aPWCT: RealMatrix  # noqa: N815 - the symbol of the field


class MwctReply(JointReply):
    """The multiple coherence of a signal with others; values are missing as in ``pwct``."""

    #: (scale, time), coherence from 0 to 1.
    MWCT: RealMatrix


class XwtRequest(PairRequest):
    """Request the cross-wavelet transform of two signals."""

    significance_level: Level = 0.95


class XwtReply(Message):
    """The cross-wavelet transform of two signals."""

    #: (scale, time)
    xwt: ComplexMatrix
    #: (scale, time), phase difference in radians.
    phase: RealMatrix
    #: (time,), in seconds.
    coi: RealVector
    #: (scale,), in Hz.
    freqs: RealVector
    #: (scale,), the significance threshold of the cross power.
    signif: RealVector | None = None
    #: Lag-1 coefficients that the threshold was computed with.
    lag1: Lag1Pair | None = None
    computation_time: Seconds
    cached: Cached = False


class SignificanceRequest(WaveletChoice, LevelChoice):
    """Request the significance threshold of coherence for two red noises."""

    #: Lag-1 coefficients of the first and the second noise.
    al1: Lag1
    al2: Lag1
    #: Sampling interval in seconds.
    dt: PositiveReal
    #: Spacing of the scales in octaves.
    dj: PositiveReal
    #: Smallest scale in seconds.
    s0: PositiveReal
    #: Number of scales less one.
    J: LastRow
    significance_level: Level = 0.95
    #: Number of samples of the signals, whose ends raise the threshold of long periods. None: six
    #: times the largest scale, and omitted, because version 0.1.0 does not know it.
    n: Annotated[
        int | None, Field(ge=2, le=MAX_QUERY_SAMPLES, exclude_if=lambda length: length is None)
    ] = None


class SignificanceReply(Message):
    """The significance threshold of coherence per scale."""

    #: (scale,), NaN where there is no threshold.
    signif: RealVector
    #: None if nothing was simulated.
    backend_used: BackendName | None = None
    seed: Seed | None = None
    computation_time: Seconds
    cached: Cached = False


class KeptLevels(PersistedMessage):
    """Significance thresholds that a worker simulated, cached for all workers."""

    schema_id: Literal["significance.levels/1"] = Field(
        default="significance.levels/1", alias="schema"
    )
    #: (scale,), the threshold, NaN where there is none, and its standard error.
    signif: RealVector
    standard_error: RealVector
    #: (scale,), number of surrogate pairs behind each threshold.
    pairs: Items[Count]


#: Fewest samples of a benchmark; shorter signals have hardly any scale.
LEAST_SAMPLES = 32


class BenchmarkRequest(Message):
    """Request the time that a coherence with its threshold takes on each backend."""

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
            raise wrong_field("backends", "contains duplicates")
        return self


class BackendTiming(Message):
    """Benchmark of one backend."""

    #: ``ok``: the backend completed; `max_difference` compares its result.
    status: Literal["ok", "unavailable", "failed"]
    #: Median of several runs, after one that does not count.
    computation_time: Seconds | None = None
    #: Speed relative to ``sequential``; below 1 if it is slower.
    speedup: Annotated[float, Field(gt=0)] | None = None
    #: Largest difference of its threshold from that of ``sequential``.
    max_difference: Annotated[float, Field(ge=0)] | None = None
    error: Text | None = None


class BenchmarkReply(Message):
    """Benchmarks of all requested backends, and always of ``sequential``, the reference."""

    signal_length: int
    mc_count: int
    results: dict[BackendName, BackendTiming]


class BackendsRequest(Message):
    """Request the list of Monte Carlo backends."""


class BackendRequest(Message):
    """Request one Monte Carlo backend."""

    name: BackendName


class BackendInfo(Message):
    """A Monte Carlo backend."""

    name: BackendName
    available: bool
    description: Text
    #: Kind of processor, such as ``cpu`` or ``fpga``.
    type: Annotated[str, Field(max_length=64)]
    #: Why it is not available.
    error: Text | None = None


class BackendsReply(Message):
    """All Monte Carlo backends."""

    backends: Items[BackendInfo]


def _check_length(field: str, length: int) -> None:
    if length > MAX_QUERY_SAMPLES:
        raise wrong_field(field, f"{length} samples exceed the limit of {MAX_QUERY_SAMPLES}")
