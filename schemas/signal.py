"""What a device sends."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.arrays import SampleArray
from schemas.limits import MAX_CHANNELS, MAX_CHUNK_SAMPLES, MAX_FIRST_SAMPLE, MAX_T0_NS
from schemas.message import Epoch, PersistedMessage, wrong_field


class SignalChunk(PersistedMessage):
    """Consecutive samples of all channels of one stream; which stream is said by the subject."""

    schema_id: Literal["signal.chunk/1"] = Field(default="signal.chunk/1", alias="schema")
    #: Which run of the device; a new one starts the analysis afresh.
    epoch: Epoch
    #: Index of the first sample since the epoch began; none means "right after the last chunk".
    first_sample: Annotated[int, Field(ge=0, le=MAX_FIRST_SAMPLE)] | None = None
    #: When the first sample was taken.
    t0_ns: Annotated[int, Field(ge=0, le=MAX_T0_NS)] | None = None
    #: (time,) or (time, channel); NaN is a missing sample. Empty in a final chunk alone.
    samples: SampleArray
    #: The epoch ends with this chunk: what its last samples belong to is computed without more.
    final: bool = False

    @property
    def n_samples(self) -> int:
        """Number of time steps."""
        return int(self.samples.shape[0])

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return 1 if self.samples.ndim == 1 else int(self.samples.shape[1])

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if self.n_samples == 0 and not self.final:
            raise wrong_field("samples", "empty: at least one is needed, unless the chunk is final")
        if self.n_samples > MAX_CHUNK_SAMPLES:
            raise wrong_field(
                "samples", f"{self.n_samples} steps, {MAX_CHUNK_SAMPLES} are possible"
            )
        if self.n_channels > MAX_CHANNELS:
            raise wrong_field("samples", f"{self.n_channels} channels, {MAX_CHANNELS} are possible")
        return self
