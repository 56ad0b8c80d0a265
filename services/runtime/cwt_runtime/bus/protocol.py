"""What services may ask of the outside world of messages, split by guarantee.

`Bus` is core messaging: at most once, nothing kept. `DurableLog` is persisted: what was
acknowledged is kept, and is delivered at least once. Both are implemented in
`cwt_runtime.bus.nats` and, for tests, in `tests/memory_bus`, and one body of contract tests runs
against both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cwt_schemas.message import StoredObject

__all__ = [
    "ACK_WAIT_S",
    "DUPLICATE_WINDOW_S",
    "Backlog",
    "Bucket",
    "BucketSpec",
    "Bus",
    "Change",
    "Consumer",
    "ConsumerSpec",
    "CopySpec",
    "Delivery",
    "DurableLog",
    "Entry",
    "Message",
    "Objects",
    "ObjectsSpec",
    "StoreAck",
    "StoredMessage",
    "StreamSpec",
    "Subscription",
    "Topology",
    "Usage",
]

#: Longer than the client library retries one chunk, about 100 s with all time-outs. Ingest retries
#: without a limit, so after this time it may store a window twice; the result of that window is
#: stored under the same id. Ingest recognises a duplicate chunk by its position.
DUPLICATE_WINDOW_S = 120.0
#: A worker that neither acknowledges nor reports progress for this long is considered dead.
ACK_WAIT_S = 10.0
#: Windows handed out and not acknowledged, over all workers.
MAX_ACK_PENDING = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message as it travels: `reply` is the subject an answer goes to, if one is wanted."""

    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredMessage:
    """A message read from a stream, with its place in it."""

    message: Message
    #: Position in the stream, from 1, without reuse.
    seq: int
    #: When the server stored it, nanoseconds UTC.
    stored_ns: int
    #: How many more of what the reader asked for were there already when it was handed out. Some
    #: of them may be removed before they are read.
    pending: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreAck:
    """The server's word that a message is kept."""

    stream: str
    seq: int
    #: The message id was seen within the duplicate window: nothing new was stored.
    duplicate: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A value in a bucket and the revision to give when replacing it."""

    value: bytes
    revision: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What became of a key of a bucket; no value: it was removed."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How far a durable consumer is behind its stream, in messages."""

    #: Not yet handed to anybody.
    waiting: int
    #: Handed out, not yet acknowledged.
    in_flight: int
    #: Somebody has told the server to hand out nothing for a time.
    is_paused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """How much of its room a stream has taken."""

    size_bytes: int
    #: None: no limit of its own.
    max_bytes: int | None = None
    #: When full it refuses the new instead of dropping the oldest.
    refuses_new: bool = True
    #: What it takes; empty for an account.
    subjects: tuple[str, ...] = ()
    #: Sequences of the oldest message that it holds and of the newest ever stored.
    first_seq: int = 0
    last_seq: int = 0


class Subscription(Protocol):
    """Messages of a subject in the order they arrived; slow readers lose the newest."""

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate until drained or closed."""

    async def drain(self) -> None:
        """Take no more; the iteration ends after what had arrived already."""


class Delivery(Protocol):
    """One message of a work queue, owned until it is acknowledged, handed back, or given up."""

    @property
    def stored(self) -> StoredMessage:
        """The message and its place in the stream."""

    @property
    def deliveries(self) -> int:
        """How often it was handed out, this time included."""

    async def ack(self) -> None:
        """Done: take it off the queue."""

    async def nak(self, delay_s: float = 0.0) -> None:
        """Not done: hand it to anybody after `delay_s` seconds."""

    async def term(self, reason: str) -> None:
        """Given up: take it off the queue, for the stated reason."""

    async def in_progress(self) -> None:
        """Still at it: start the acknowledgement deadline again."""


class Consumer(Protocol):
    """A share in a work queue: each message goes to one of all consumers of the durable name."""

    async def next(self) -> Delivery:
        """Wait for the next message. Survives a server that goes away and comes back.

        A wait that is cancelled loses no message.

        Raises
        ------
        BusClosedError
            The connection is closed for good.
        """


class Bucket(Protocol):
    """A key-value bucket; keys are names joined by dots."""

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, or None."""

    async def put(self, key: str, value: bytes) -> int:
        """Set `key`, whatever it was, and return the revision."""

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        """Set `key` if its revision is still `revision` (0: if there is none yet).

        Raises
        ------
        RevisionConflictError
            Somebody else was faster.
        """

    async def delete(self, key: str) -> None:
        """Remove `key`; removing what is not there is no error."""

    async def forget(self, key: str) -> None:
        """Remove all values that `key` ever had, and the record of its deletion.

        A watcher that has not read the deletion yet never reads it.
        """

    async def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""

    def watch(self, keys: str = ">") -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Read the newest value of every key that `keys` matches, then every change, in order.

        `keys` is a pattern as of subjects. Survives a server that goes away and comes back; then,
        of several changes of one key in between, only the newest may be seen. It is read by one
        task at a time, and a read that is cancelled loses nothing.
        """


class Objects(Protocol):
    """A bucket of values too large for a message; what is kept is whole, or not there."""

    async def put(self, name: str, data: bytes) -> StoredObject:
        """Keep `data` under `name`, in place of what was there, and say where it is.

        Raises
        ------
        StorageFullError
            There is no room; nothing is kept of it.
        """

    async def get(self, name: str) -> bytes | None:
        """Return what is kept under `name`; None if there is nothing, or no longer all of it."""

    async def delete(self, name: str) -> None:
        """Remove what is kept under `name`; removing what is not there is no error."""

    async def clear(self) -> None:
        """Remove all objects, and what earlier deletions have left in the store."""


class Bus(Protocol):
    """Core messaging: at most once, in order per publisher and subject, nothing kept.

    A message stored in the log is also delivered to the subscribers of its subject.
    """

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        """Send to whoever listens now; answers, of one or of many, go to the subject `reply`."""

    def subscribe(
        self, subject: str, queue: str | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Listen; with `queue`, each message goes to one member of that group.

        Entering the context waits until the server knows of it, also while the connection is made
        again; the caller sets the deadline.
        """

    async def request(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
    ) -> Message:
        """Send and wait for one answer.

        Raises
        ------
        NoRespondersError
            Nobody listens on `subject`.
        BusTimeoutError
            No answer within `timeout_s`.
        """

    def new_inbox(self) -> str:
        """Return a new subject for answers to this connection, under its inbox prefix."""

    async def closed(self) -> None:
        """Return when the connection is closed for good."""

    @property
    def is_connected(self) -> bool:
        """Whether the server is reached at this moment."""

    @property
    def max_message_bytes(self) -> int:
        """The largest body that a message can have here, whatever the server allows at most."""

    @property
    def log(self) -> DurableLog:
        """The persisted half."""


@dataclass(frozen=True, kw_only=True)
class StreamSpec:
    """One JetStream stream."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"]
    #: At the size limit, refuse the new message (the publisher sees an error) or drop the oldest.
    when_full: Literal["refuse_new", "drop_old"]
    max_bytes: int
    #: Seconds; 0 means for ever.
    max_age_s: float = 0.0
    duplicate_window_s: float = DUPLICATE_WINDOW_S
    #: Messages kept of each subject, the newest; None means all.
    per_subject: int | None = None
    #: Replicas in a cluster, applied when the stream is created; its consumers have as many.
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class ConsumerSpec:
    """One durable pull consumer, shared by all workers of a kind."""

    stream: str
    name: str
    ack_wait_s: float = ACK_WAIT_S
    max_ack_pending: int = MAX_ACK_PENDING


@dataclass(frozen=True, kw_only=True)
class BucketSpec:
    """One key-value bucket."""

    name: str
    history: int = 1
    #: Seconds since a key was last set; 0 means for ever.
    max_age_s: float = 0.0
    #: Of all keys together; None means no limit. A bucket that is full refuses the new.
    max_bytes: int | None = None
    #: As of a stream.
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class ObjectsSpec:
    """One bucket of the object store; the fields are those of a stream."""

    name: str
    when_full: Literal["refuse_new", "drop_old"]
    max_bytes: int
    max_age_s: float = 0.0
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class CopySpec:
    """A copy of a stream in another account, which keeps it as long as the stream does."""

    stream: str
    max_bytes: int
    #: The domain under which this account reaches the JetStream of the copy.
    domain: str
    #: Prefix under which the account of the copy reaches the JetStream of this one.
    origin_api: str
    #: Subject below which the messages travel.
    delivery: str
    max_age_s: float = 0.0
    #: As of a stream.
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All that has to exist on the server before a service can work."""

    streams: tuple[StreamSpec, ...]
    consumers: tuple[ConsumerSpec, ...]
    buckets: tuple[BucketSpec, ...]
    objects: tuple[ObjectsSpec, ...] = ()
    copies: tuple[CopySpec, ...] = ()


class DurableLog(Protocol):
    """Streams, work queues and buckets: kept once acknowledged, delivered at least once."""

    @property
    def api(self) -> str:
        """What the subjects of JetStream's own interface begin with, such as ``$JS.API``."""

    async def declare(self, topology: Topology, *, update: bool = False) -> None:
        """Create what is missing; with `update`, also bring existing limits to those stated.

        Only the limits that a topology states are changed; what an operator set besides stays.
        """

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        """Append to the stream that holds `subject`; a known `msg_id` is not stored again.

        With `expect_seq`, only if that is the sequence of the newest message of `subject` (0: there
        is none); a message that was stored before is a conflict then, too.

        Raises
        ------
        RevisionConflictError
            Another message of `subject` is the newest.
        BusTimeoutError, BusUnreachableError, StorageFullError
            Transient: try again with the same id. A subject that no stream holds looks the same as
            a stream that is starting, so it is unreachable too.
        NotStoredError
            Permanent: the message is too large, or the server refuses it for what it is.
        """

    def consume(self, stream: str, durable: str) -> AbstractAsyncContextManager[Consumer]:
        """Take part in the work queue; on leaving, what was prefetched is handed back."""

    def replay(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        start_time_ns: int | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredMessage]]:
        """Read the stream in order from `start_seq` and go on with what comes, without a hole.

        With `start_time_ns`, what was stored before that time, nanoseconds UTC, is left out too.
        A read that is cancelled loses nothing: the next one goes on after the last message that
        was returned. It is read by one task at a time.
        """

    def read(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        start_time_ns: int | None = None,
        headers_only: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredMessage]]:
        """Read what the stream holds, in order from `start_seq`, and end after the last message.

        With `start_time_ns`, what was stored before that time, nanoseconds UTC, is left out too.
        Messages that are removed before they were read (expired, replaced, purged) are left out;
        do not count messages first and wait for that many. Messages stored meanwhile may be read.
        With `headers_only`, bodies are left out.
        """

    async def purge(
        self, stream: str, pattern: str, *, keep: int = 0, before_seq: int | None = None
    ) -> None:
        """Remove every message on a subject that `pattern` matches, also those handed out.

        Not removed are the newest `keep` of them or, with `before_seq`, those with this sequence
        or a higher one; give one of the two. Other messages keep their sequences, and the ids of
        what is removed stay known.
        """

    async def accept(self, stream: str, subjects: tuple[str, ...]) -> None:
        """Have `stream` take messages on `subjects` only; it keeps those that it holds.

        To a publisher on another subject, there is no stream.
        """

    async def remove(self, stream: str, seq: int) -> None:
        """Remove the message with the sequence `seq`, which has to be there."""

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the newest message ever stored in `stream`, 0 for none."""

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        """Return how many messages `stream` holds of each subject that `pattern` matches."""

    async def backlog(self, stream: str, durable: str) -> Backlog:
        """Return how far the durable consumer is behind."""

    async def usage(self, stream: str | None = None) -> Usage:
        """Return how much of its room a stream has taken; None: all of this account together."""

    async def bucket(self, name: str) -> Bucket:
        """Open a declared bucket."""

    async def objects(self, name: str) -> Objects:
        """Open a declared bucket of the object store."""
