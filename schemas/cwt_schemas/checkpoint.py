"""The checkpoint of a stream: the state from which ingest resumes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cwt_schemas.message import (
    Count,
    Epoch,
    Items,
    Message,
    Name,
    PersistedMessage,
    PositiveCount,
    Text,
)
from cwt_schemas.stream import StreamProgress

__all__ = [
    "BegunChunk",
    "ClockState",
    "CounterState",
    "EventBudget",
    "MissingState",
    "ReplayState",
    "StreamCheckpoint",
]


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
    #: Variance of the stamps about the line, without the outliers, seconds squared; None until it
    #: is known.
    scatter2: Annotated[float, Field(ge=0)] | None = None
    #: The first stamps, while there are too few of them for a scatter.
    first_samples: Items[Count] = ()
    first_ns: Items[Count] = ()
    #: The newest outliers that agree with each other, and the sample of the first of them.
    suspect_samples: Items[Count] = ()
    suspect_ns: Items[Count] = ()
    suspect_since: Count = 0
    #: By how much the worst of the outliers in a row is off, seconds.
    worst_s: float = 0.0
    #: Outliers since the epoch began.
    ignored: Count = 0
    #: The drift that is assumed until more stamps show it.
    usual_drift: float = 0.0
    #: Whether a wrong nominal rate was reported.
    rate_reported: bool = False


class CounterState(Message):
    """The device's counter in one epoch, and where its indices lie; see `cwt_ingest.counter`."""

    epoch: Epoch
    end: int
    offset: int = 0
    offset_before: int | None = None
    modulus: int | None = None
    top: Count = 0
    origins_ns: Items[int] = ()
    suspect_end: int | None = None
    repeated_to: int | None = None
    first: Count = 0
    head: Annotated[str, Field(max_length=16)] = ""
    head_samples: Count = 0


class MissingState(Message):
    """The channels that have had no values of late; the fields are in the same order."""

    #: Columns of the samples.
    channels: Items[Count] = ()
    #: The first sample without a value, the newest one, and how many there are.
    first: Items[Count] = ()
    last: Items[Count] = ()
    n: Items[Count] = ()


class EventBudget(Message):
    """Events of one kind: how many may still be published, and those that were added up since."""

    kind: Annotated[str, Field(max_length=16)]
    left: Annotated[float, Field(ge=0)]
    #: When `left` was counted, by the log.
    at_ns: Count
    #: Events that wait; what follows is of them.
    count: Count = 0
    first_sample: Count | None = None
    n_samples: Count = 0
    epoch: Epoch | None = None
    #: Of the last one.
    detail: Text = ""


class BegunChunk(Message):
    """A chunk that is being read, or during whose reading the process ended."""

    seq: PositiveCount
    #: How often it was begun.
    times: PositiveCount


class ReplayState(Message):
    """What was known of the stream just before the first chunk that is read again."""

    epoch: Epoch | None = None
    next_sample: Count = 0
    #: The last epochs that ended; their chunks are refused.
    ended_epochs: Items[Epoch] = ()
    sequenced: bool | None = None
    #: Not written any more: a chunk too far ahead to be believed is read again.
    suspect_end: Count | None = None
    clock: ClockState | None = None
    missing: MissingState = MissingState()
    #: The counters of the last epochs, before the first chunk that is read again.
    counters: Items[CounterState] = ()


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
    #: Of each kind of event, how many may still be published.
    events: Items[EventBudget] = ()
    #: Set while a chunk is read after a crash; see `cwt_ingest.crash_guard`.
    begun: BegunChunk | None = None
    #: Chunks that were begun several times and never finished; they are not read again.
    unfinished: Items[Count] = ()
