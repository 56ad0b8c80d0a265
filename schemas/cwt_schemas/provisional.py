"""Provisional estimates of live analyses, and the messages that they are computed from.

Ingest publishes the newest samples after every chunk, and any free worker publishes the estimates.
Ingest also requests the fits of the autoregressive models, and keeps the state that a fit returns,
so that workers keep none. All of this is core messaging: an estimate that is late is worthless.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from cwt_schemas.analysis import AnalysisSpec, Fraction
from cwt_schemas.arrays import ComplexMatrix, RealMatrix, RealVector, SampleMatrix
from cwt_schemas.limits import MAX_CHANNELS, MAX_OCTAVE, MAX_VOICES_PER_OCTAVE
from cwt_schemas.live import Octave, tile_id
from cwt_schemas.message import (
    Count,
    Epoch,
    Items,
    Message,
    Name,
    Payload,
    PersistedMessage,
    PositiveCount,
    PositiveReal,
    ShortHash,
    wrong_field,
)

__all__ = [
    "EstimateTimes",
    "FitReply",
    "FitRequest",
    "NewestSamples",
    "OctaveCalibration",
    "OctaveRows",
    "ProvisionalEstimate",
]


class FitRequest(Message):
    """Request a fit of the models of one octave, one for each channel."""

    #: The analysis, with the channels of the columns.
    analysis: AnalysisSpec
    fs_hz: PositiveReal
    octave: Octave
    #: Position after the last sample.
    end: PositiveCount
    #: (time, channel); NaN is a missing sample.
    samples: SampleMatrix
    #: What the last fit returned; None at the first one. Only workers read it.
    state: Payload | None = None


class OctaveCalibration(Message):
    """Earlier estimates of one channel in one octave, compared with their exact values."""

    compared: Count
    #: Part of the exact values inside the 95 % interval, by quantity; empty if none was compared.
    coverage: dict[Name, Fraction]
    #: Median factor by which the intervals are wider than those of the model, by quantity.
    scale: dict[Name, PositiveReal]


class FitReply(Message):
    """The state after a fit, and what the comparison showed so far."""

    state: Payload
    #: One for each channel.
    calibration: Items[OctaveCalibration]


class EstimateTimes(Message):
    """Times of the newest samples, in nanoseconds UTC."""

    #: When the log stored the chunk with the newest sample.
    received: Count
    #: When ingest published the samples.
    sent: Count


class NewestSamples(PersistedMessage):
    """The newest samples of channels of an analysis, and the models of their estimates."""

    schema_id: Literal["samples.newest/1"] = Field(default="samples.newest/1", alias="schema")
    stream: Name
    epoch: Epoch
    #: The analysis, with the channels of the columns.
    analysis: AnalysisSpec
    fs_hz: PositiveReal
    #: Position after the last sample.
    end: PositiveCount
    #: (time, channel); NaN is a missing sample.
    samples: SampleMatrix
    #: What the last fit of each octave returned; None before it. Only workers read it.
    states: Items[Payload | None]
    #: Time of the newest sample, by the line through the device's time stamps.
    t_ns: Count | None = None
    times_ns: EstimateTimes

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        columns, channels = self.samples.shape[1], len(self.analysis.channels)
        if columns != channels:
            problem = f"{columns} columns for {channels} channels; the numbers must be equal"
            raise wrong_field("samples", problem)
        return self


class OctaveRows(Message):
    """The rows of one octave, the tiles of its results, and its model."""

    octave: Octave
    #: Number of rows.
    n: Annotated[int, Field(ge=1, le=MAX_VOICES_PER_OCTAVE)]
    #: Length of a tile in samples; tiles begin at its multiples.
    tile: PositiveCount
    #: Position after the last sample that the model was fitted to; None before the first fit.
    fitted: Count | None = None


class ProvisionalEstimate(PersistedMessage):
    """The newest estimates of channels of an analysis, one for each row.

    Not stored. NaN is a row without a model yet. The exact value comes in the result
    `result_id`.
    """

    schema_id: Literal["estimate.provisional/1"] = Field(
        default="estimate.provisional/1", alias="schema"
    )
    stream: Name
    epoch: Epoch
    analysis: Name
    channels: Annotated[Items[Name], Field(min_length=1, max_length=MAX_CHANNELS)]
    fs_hz: PositiveReal
    #: The last sample that the estimates know.
    newest_sample: Count
    #: Its time, by the line through the device's time stamps.
    t_ns: Count | None = None
    #: (scale,)
    freqs_hz: RealVector
    #: (channel, scale), distance of the estimate from the newest sample.
    delay_s: RealMatrix
    #: (channel, scale), W, in units of the signal.
    values: ComplexMatrix | None = None
    #: (channel, scale), |W| and the ends of its 95 % interval.
    amplitude: RealMatrix | None = None
    amplitude_low: RealMatrix | None = None
    amplitude_high: RealMatrix | None = None
    #: (channel, scale), the phase of W in radians, and half the arc that contains it with 95 %.
    phase: RealMatrix | None = None
    phase_halfwidth: RealMatrix | None = None
    #: (channel, scale), standard error of W and root mean square of W by the model.
    std: RealMatrix
    rms: RealMatrix
    #: The octaves of the rows, in order.
    octaves: Annotated[Items[OctaveRows], Field(min_length=1, max_length=MAX_OCTAVE + 1)]
    #: One for each channel, as in the ids of results.
    spec_hashes: Items[ShortHash]
    worker: Annotated[str, Field(max_length=128)]
    times_ns: EstimateTimes

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """(channel, scale) sample index that each estimate is at."""
        delays = np.rint(self.delay_s * self.fs_hz).astype(np.int64)
        return np.asarray(self.newest_sample - delays)

    def result_id(self, channel: int, scale: int) -> str:
        """Return the id of the result with the exact value."""
        rows = [each for each in self.octaves for _ in range(each.n)][scale]
        position = max(int(self.positions[channel, scale]), 0)
        return tile_id(
            stream=self.stream,
            epoch=self.epoch,
            analysis=self.analysis,
            spec_hash=self.spec_hashes[channel],
            octave=rows.octave,
            first_sample=position // rows.tile * rows.tile,
        )

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        n, k = len(self.channels), len(self.freqs_hz)
        if len(self.spec_hashes) != n:
            raise wrong_field("spec_hashes", f"{len(self.spec_hashes)} for {n} channels")
        if sum(each.n for each in self.octaves) != k:
            raise wrong_field("octaves", f"must have {k} rows, one for each frequency")
        for field in MATRICES:
            array = getattr(self, field)
            if array is not None and array.shape != (n, k):
                raise wrong_field(field, f"shape {list(array.shape)}; expected {[n, k]}")
        return self


#: Fields of `ProvisionalEstimate` of shape (channel, scale).
MATRICES = (
    "delay_s",
    "values",
    "amplitude",
    "amplitude_low",
    "amplitude_high",
    "phase",
    "phase_halfwidth",
    "std",
    "rms",
)
