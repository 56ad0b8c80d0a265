"""A share of a Monte Carlo simulation: some surrogate pairs of one octave, with their own seeds.

It is what one worker asks of the others, and decides the histograms bit for bit.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.arrays import CountMatrix
from schemas.limits import MAX_MC_COUNT, MAX_OCTAVE, MAX_SCALES, MAX_SHARE_TASKS
from schemas.message import Count, Items, Message, PositiveCount, PositiveReal, wrong_field
from schemas.query import Lag1
from schemas.stream import Wavelet


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
