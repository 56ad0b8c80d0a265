"""Messages that distribute a simulation; a request determines the histograms bit for bit."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cwt_schemas.analysis import Wavelet
from cwt_schemas.arrays import CountMatrix
from cwt_schemas.limits import MAX_MC_COUNT, MAX_OCTAVE, MAX_SCALES, MAX_SHARE_TASKS
from cwt_schemas.message import Count, Items, Message, PositiveCount, PositiveReal, wrong_field
from cwt_schemas.query import MAX_JOINT_SIGNALS, Lag1


class NullRowsShape(Message):
    """The rows of one octave under the null hypothesis; times in samples of the noise.

    The fields are those of ``pycwt_mod.significance.surrogates.SurrogateOctave``.
    """

    wavelet: Wavelet
    param: PositiveReal
    scales: Annotated[Items[PositiveReal], Field(min_length=1, max_length=MAX_SCALES)]
    #: First row that is counted, and one past the last.
    keep_first: Annotated[int, Field(ge=0, lt=MAX_SCALES)]
    keep_end: Annotated[int, Field(ge=1, le=MAX_SCALES)]
    step: PositiveCount
    length: PositiveCount
    #: Length of the record in samples; 0 for endless noise.
    record: Count
    al1: Lag1
    al2: Lag1
    #: Coefficients of further noises, of partial and multiple coherence. Like `statistic`, omitted
    #: for coherence of two noises, because version 0.1.0 does not know it.
    others: Annotated[
        Items[Lag1], Field(max_length=MAX_JOINT_SIGNALS, exclude_if=lambda lags: not lags)
    ] = ()
    statistic: Annotated[
        Literal["coherence", "partial", "multiple"],
        Field(exclude_if=lambda name: name == "coherence"),
    ] = "coherence"
    centred: bool
    #: Offset of the first weight of the smoothing over scales, and the weights.
    boxcar_first: Annotated[int, Field(ge=-MAX_SCALES, le=0)]
    boxcar_weights: Annotated[Items[float], Field(min_length=1, max_length=MAX_SCALES)]
    exact_ends: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.keep_first < self.keep_end <= len(self.scales):
            raise wrong_field(
                "keep_end",
                f"must be above keep_first and at most {len(self.scales)}, the number of scales",
            )
        if self.length % self.step or self.record > self.length:
            raise wrong_field(
                "length", "must be a multiple of step, and not shorter than the record"
            )
        return self


class SimulationTask(Message):
    """Surrogate pairs with their own seed."""

    pairs: Annotated[int, Field(ge=1, le=MAX_MC_COUNT)]
    #: Octave and chunk; together with the seed, they determine the random numbers.
    octave: Annotated[int, Field(ge=0, le=MAX_OCTAVE)]
    chunk: Count


class SimulateRequest(Message):
    """Request the histograms of a part of a simulation."""

    #: Version of the algorithm; workers with another version refuse, because their numbers differ.
    algorithm: PositiveCount
    rows: NullRowsShape
    #: Seed of the simulation, in decimal, because it may have more than 63 bits.
    seed: Annotated[str, Field(pattern=r"^[0-9]{1,40}$")]
    tasks: Annotated[Items[SimulationTask], Field(min_length=1, max_length=MAX_SHARE_TASKS)]


class SimulateReply(Message):
    """Histograms of R²."""

    #: (task and kept row, bin): the rows of the first task, then those of the second, and so on.
    histograms: CountMatrix
