"""Where ingest resumes a stream, and whose it is meanwhile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.message import Count, Epoch, Items, Message, Name, PersistedMessage
from schemas.stream import StreamProgress


class ClockState(Message):
    """A line through the device's time stamps: its origin, and the central moments about it."""

    sample: Count
    t_ns: Count
    newest_sample: Count
    newest_ns: Count
    stamps: Count
    weight: float
    mean_x: float
    mean_y: float
    cxx: float
    cxy: float
    cyy: float
    #: Stamps in a row that were far from the line.
    outliers: Count = 0
    #: How often the device's clock was set.
    steps: Count = 0


class ReplayState(Message):
    """What was known of the stream just before the first chunk that is read again."""

    epoch: Epoch | None = None
    next_sample: Count = 0
    #: The last epochs that ended; their chunks are refused.
    ended_epochs: Items[Epoch] = ()
    sequenced: bool | None = None
    #: Where a chunk ended that was too far ahead to be believed.
    suspect_end: Count | None = None
    clock: ClockState | None = None


class StreamCheckpoint(PersistedMessage):
    """The state of one stream as a function of the signal log up to ``last_seq``.

    Who replaces it, revision by revision, owns the stream.
    """

    schema_id: Literal["stream.checkpoint/2"] = Field(default="stream.checkpoint/2", alias="schema")
    stream: Name
    #: The process that follows the stream; none: nobody does at the moment.
    owner: Annotated[str, Field(max_length=128)] | None = None
    #: Revision of the definition that the state belongs to.
    definition_revision: Count
    #: Sequence number in the log of the first chunk whose samples are still needed.
    replay_from_seq: Count
    #: Sequence number of the last chunk taken in.
    last_seq: Count
    #: When the log took that chunk; what is newer is new, whatever its number: a log that lost its
    #: end counts on from there.
    last_stored_ns: Count = 0
    #: After these chunks the log went quiet, and what had waited for its turn was let go.
    released_after: Items[Count] = ()
    #: Index of the next tile, by ``<analysis>/<octave>``.
    tiles: dict[Annotated[str, Field(max_length=256)], Count] = Field(default_factory=dict)
    state: ReplayState = ReplayState()
    progress: StreamProgress = StreamProgress()
