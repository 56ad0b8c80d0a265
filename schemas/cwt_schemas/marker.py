"""Markers: annotations of a moment or a stretch of a stream."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cwt_schemas.limits import MAX_FIRST_SAMPLE, MAX_T0_NS
from cwt_schemas.message import (
    Count,
    Epoch,
    Message,
    Name,
    PersistedMessage,
    Text,
    content_digest,
    wrong_field,
)

__all__ = ["Marker", "MarkerSample", "MarkerStored", "MarkerTime"]

MarkerSample = Annotated[int, Field(ge=0, le=MAX_FIRST_SAMPLE)]
MarkerTime = Annotated[int, Field(ge=0, le=MAX_T0_NS)]


class Marker(PersistedMessage):
    """An annotation of a moment or a stretch of a stream.

    A device that counts samples sets `epoch` and `first_sample`; a computer that knows only the
    time sets `t_ns`.
    """

    schema_id: Literal["signal.marker/1"] = Field(default="signal.marker/1", alias="schema")
    #: The stream that the subject names.
    stream: Name
    #: Run of the device; None: the run at the time `t_ns`.
    epoch: Epoch | None = None
    #: Index of the sample in the epoch.
    first_sample: MarkerSample | None = None
    #: Or the time, by the clock of the device's time stamps.
    t_ns: MarkerTime | None = None
    #: Length of a stretch, in samples or in seconds; neither for a moment.
    n_samples: Count | None = None
    duration_s: Annotated[float, Field(ge=0)] | None = None
    #: The channel that the marker concerns; None: all channels.
    channel: Name | None = None
    text: Text

    @property
    def id(self) -> str:
        """The message id, which is the same for all markers with this content."""
        return f"{self.stream}/marker/{content_digest(self).hex()[:32]}"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.first_sample is None) == (self.t_ns is None):
            raise wrong_field("first_sample", "give either first_sample or t_ns")
        if self.first_sample is not None and self.epoch is None:
            raise wrong_field("epoch", "required with first_sample")
        if self.n_samples is not None and self.duration_s is not None:
            raise wrong_field("n_samples", "give either n_samples or duration_s")
        return self


class MarkerStored(Message):
    """Reply to a request to store a marker; a JetStream acknowledgement has the same fields."""

    #: Name and sequence number of the log of results.
    stream: Text
    seq: Count
    #: Whether the marker was stored before.
    duplicate: bool = False
