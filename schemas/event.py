"""What happened to a stream besides its data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.message import Count, Epoch, Id, Name, PersistedMessage, Text

EventKind = Literal["gap", "overlap", "reset", "rejected", "missing", "lag", "dropped"]


class StreamEvent(PersistedMessage):
    """Something that a reader of the results ought to know."""

    schema_id: Literal["stream.event/1"] = Field(default="stream.event/1", alias="schema")
    id: Id
    stream: Name
    #: None where it can't be known, as of a chunk that can't be read.
    epoch: Epoch | None = None
    kind: EventKind
    #: The samples it is about, where there are such.
    first_sample: Count | None = None
    n_samples: Count | None = None
    detail: Text = ""
    t_ns: Count
