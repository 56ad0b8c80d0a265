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
    """The line through the device's time stamps: its origin, and the central moments about it."""

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
    #: Number of consecutive stamps that were far from the line.
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
    #: Largest deviation of the consecutive outliers, seconds.
    worst_s: float = 0.0
    #: Outliers since the start of the epoch.
    ignored: Count = 0
    #: The assumed drift, until there are enough stamps.
    usual_drift: float = 0.0
    #: Whether a wrong nominal rate was reported.
    rate_reported: bool = False


class CounterState(Message):
    """The device's counter in one epoch, see `cwt_ingest.counter`."""

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
    """The channels that currently have no values; the fields are in the same order."""

    #: Columns of the samples.
    channels: Items[Count] = ()
    #: The first sample without a value, the newest one, and how many there are.
    first: Items[Count] = ()
    last: Items[Count] = ()
    n: Items[Count] = ()


class EventBudget(Message):
    """Rate limit of one kind of event: how many may be published, and the sum of the others."""

    kind: Annotated[str, Field(max_length=16)]
    left: Annotated[float, Field(ge=0)]
    #: Time of `left`, by the log.
    at_ns: Count
    #: Number of waiting events, which the following fields describe.
    count: Count = 0
    first_sample: Count | None = None
    n_samples: Count = 0
    epoch: Epoch | None = None
    #: Detail of the last one.
    detail: Text = ""


class BegunChunk(Message):
    """A chunk whose processing has started, and may have crashed the process."""

    seq: PositiveCount
    #: How often its processing was started.
    times: PositiveCount


class ReplayState(Message):
    """State of the stream before the first chunk of the replay."""

    epoch: Epoch | None = None
    next_sample: Count = 0
    #: The last epochs that ended; their chunks are refused.
    ended_epochs: Items[Epoch] = ()
    sequenced: bool | None = None
    #: No longer written: a chunk that is too far ahead is read again.
    suspect_end: Count | None = None
    clock: ClockState | None = None
    missing: MissingState = MissingState()
    #: The counters of the last epochs, before the first chunk of the replay.
    counters: Items[CounterState] = ()


class StreamCheckpoint(PersistedMessage):
    """The state of one stream as a function of the signal log up to ``last_seq``.

    The ingest process that updates it, revision by revision, owns the stream.
    """

    schema_id: Literal["stream.checkpoint/2"] = Field(default="stream.checkpoint/2", alias="schema")
    stream: Name
    #: The ingest process that follows the stream; None: no process follows it at the moment.
    owner: Annotated[str, Field(max_length=128)] | None = None
    #: Revision of the definition that the state belongs to.
    definition_revision: Count
    #: Sequence number in the log of the first chunk whose samples are still needed.
    replay_from_seq: Count
    #: Sequence number of the last chunk processed.
    last_seq: Count
    #: When the log stored that chunk. A newer chunk is new, whatever its number, because a log that
    #: lost its end reuses sequence numbers.
    last_stored_ns: Count = 0
    #: After these chunks the log was quiet, and the chunks that waited were released.
    released_after: Items[Count] = ()
    #: Index of the next tile, by ``<analysis>/<octave>``.
    tiles: dict[Annotated[str, Field(max_length=256)], Count] = Field(default_factory=dict)
    state: ReplayState = ReplayState()
    progress: StreamProgress = StreamProgress()
    #: Rate limit of each kind of event.
    events: Items[EventBudget] = ()
    #: Set while a chunk is processed after a crash; see `cwt_ingest.crash_guard`.
    begun: BegunChunk | None = None
    #: Chunks whose processing was started several times and never finished; they are skipped.
    unfinished: Items[Count] = ()
