"""How fast a worker is, by the same task on every backend."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.limits import MAX_BENCHMARK_BACKENDS, MAX_MC_COUNT, MAX_QUERY_SAMPLES
from schemas.message import Items, Message, Text, wrong_field
from schemas.query import BackendName, Precision, Seconds
from schemas.stream import Convention

#: A coherence of fewer samples has hardly any scale.
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
