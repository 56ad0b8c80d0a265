"""What a compute worker made of a window."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from schemas.arrays import MaskMatrix, RealMatrix, RealVector, ValueMatrix
from schemas.message import (
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
    wrong_field,
)
from schemas.stream import Op
from schemas.timing import ResultTimes
from schemas.window import Octave

Label = Annotated[str, Field(max_length=128)]


class TimeAxis(Message):
    """Where the columns of a result lie: ``first_sample + step * i`` for i below ``n``."""

    first_sample: Count
    step: PositiveCount
    n: PositiveCount


class InputSpan(Message):
    """The samples that went into a result."""

    first_sample: Position
    n_samples: PositiveCount


class Engine(Message):
    """What computed a result."""

    library: Label
    version: Label
    backend: Label
    worker: Label


class AnalysisResult(PersistedMessage):
    """One octave of one channel set over one tile.

    Results of one stream, analysis, channel set and octave tile the time axis without hole or
    overlap, in whatever order they arrive.
    """

    schema_id: Literal["result.analysis/1"] = Field(default="result.analysis/1", alias="schema")
    #: The same whenever this result is made again.
    id: Id
    stream: Name
    epoch: Epoch
    analysis: Name
    op: Op
    channels: Annotated[Items[Name], Field(min_length=1, max_length=2)]
    octave: Octave
    #: (scale,)
    freqs_hz: RealVector
    #: (scale,)
    scales_s: RealVector
    t: TimeAxis
    #: Samples per second of the stream; None in results from before it was written down.
    fs_hz: PositiveReal | None = None
    #: When the first column's sample was taken, by the line through the device's time stamps.
    t0_ns: Count | None = None
    #: The same by its newest time stamp and the nominal rate alone.
    t0_raw_ns: Count | None = None
    #: (scale, time), in the quantity that the analysis asks for.
    values: ValueMatrix
    #: (scale, time), in radians.
    phase: RealMatrix | None = None
    #: (scale,)
    signif: RealVector | None = None
    #: Where ``signif`` comes from: looked up, or simulated where the table has no such level.
    signif_method: Literal["table", "monte-carlo"] | None = None
    #: (scale, time), 1 where missing data or an edge touches the value; None: nowhere.
    mask: MaskMatrix | None = None
    input: InputSpan
    spec_hash: ShortHash
    engine: Engine
    times_ns: ResultTimes

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """(time,) sample index of each column, from the start of the epoch."""
        return self.t.first_sample + self.t.step * np.arange(self.t.n, dtype=np.int64)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """(time,) seconds from the start of the epoch to each column.

        Raises
        ------
        ValueError
            The result is from before results said their rate.
        """
        if self.fs_hz is None:
            raise ValueError(f"{self.id} does not say its rate: divide positions by the stream's")
        return self.positions / self.fs_hz

    @property
    def masked(self) -> np.ma.MaskedArray[Any, Any]:
        """(scale, time) the values, with `mask` as numpy's."""
        mask = np.ma.nomask if self.mask is None else np.asarray(self.mask, dtype=bool)
        return np.ma.MaskedArray(self.values, mask)

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        k, n = len(self.freqs_hz), self.t.n
        expected: dict[str, tuple[int, ...]] = {
            "scales_s": (k,),
            "values": (k, n),
            "phase": (k, n),
            "signif": (k,),
            "mask": (k, n),
        }
        for field, shape in expected.items():
            array = getattr(self, field)
            if array is not None and array.shape != shape:
                raise wrong_field(field, f"shape {list(array.shape)}, {list(shape)} expected")
        return self
