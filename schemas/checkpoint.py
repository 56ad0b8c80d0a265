"""Where ingest resumes a stream."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.message import Count, Epoch, Items, Message, PersistedMessage, ShortHash
from schemas.names import Name


class ReplayState(Message):
    """What was known of the stream just before the first chunk that is read again."""

    epoch: Epoch | None = None
    next_sample: Count = 0
    #: The last epochs that ended; their chunks are refused.
    ended_epochs: Items[Epoch] = ()
    sequenced: bool | None = None
    #: Where a chunk ended that was too far ahead to be believed.
    suspect_end: Count | None = None
    #: The device's newest time stamp, and the sample that it belongs to.
    clock_sample: Count | None = None
    clock_ns: Count | None = None


class StreamCheckpoint(PersistedMessage):
    """The state of one stream as a function of the signal log up to ``last_seq``."""

    schema_id: Literal["stream.checkpoint/1"] = Field(default="stream.checkpoint/1", alias="schema")
    stream: Name
    #: Hash of the definition that the state belongs to.
    definition_hash: ShortHash
    #: Sequence number in the log of the first chunk whose samples are still needed.
    replay_from_seq: Count
    #: Sequence number of the last chunk taken in.
    last_seq: Count
    #: When the log took that chunk; what is newer is new, whatever its number: a log that lost its
    #: end counts on from there.
    last_stored_ns: Count = 0
    #: Index of the next tile, by ``<analysis>/<octave>``.
    tiles: dict[Annotated[str, Field(max_length=256)], Count] = Field(default_factory=dict)
    state: ReplayState = ReplayState()
