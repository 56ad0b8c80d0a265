"""The interface of the message bus, split by guarantee.

`Bus` is core messaging: at most once, not stored. `DurableLog` is persisted: acknowledged messages
are stored, and are delivered at least once. `cwt_runtime.bus.nats` and, for tests,
`tests/memory_bus` implement both, and the same contract tests run against both implementations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from cwt_runtime.bus.specs import Topology
from cwt_schemas.message import StoredObject

__all__ = [
    "Backlog",
    "Bucket",
    "Bus",
    "Change",
    "Consumer",
    "Delivery",
    "DurableLog",
    "Entry",
    "Message",
    "Objects",
    "StoreAck",
    "StoredMessage",
    "Subscription",
    "Usage",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message; `reply` is the subject for replies, or None if no reply is expected."""

    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredMessage:
    """A message read from a stream, with its position."""

    message: Message
    #: Sequence number in the stream, from 1, never reused.
    seq: int
    #: Time at which the server stored it, nanoseconds UTC.
    stored_ns: int
    #: Number of further messages for this reader that were stored when this one was delivered. Some
    #: of them may be removed before they are read.
    pending: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreAck:
    """Acknowledgement by the server that a message is stored."""

    stream: str
    seq: int
    #: Whether the message id was seen within the duplicate window; then nothing was stored.
    duplicate: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A value in a bucket, and the revision to pass when replacing it."""

    value: bytes
    revision: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A change of a key in a bucket; the value is None if the key was removed."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """Backlog of a durable consumer, in messages."""

    #: Not yet delivered.
    waiting: int
    #: Delivered and not yet acknowledged.
    in_flight: int
    #: Whether an operator has paused the consumer.
    is_paused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Storage used by a stream, and its limit."""

    size_bytes: int
    #: None: no separate limit.
    max_bytes: int | None = None
    #: Whether a full stream refuses new messages instead of dropping the oldest.
    refuses_new: bool = True
    #: Subjects of the stream; empty for an account.
    subjects: tuple[str, ...] = ()
    #: Sequences of the oldest stored message and of the newest message ever stored.
    first_seq: int = 0
    last_seq: int = 0


class Subscription(Protocol):
    """Messages of a subject in order of arrival; if the reader is slow, new messages are lost."""

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate until drained or closed."""

    async def drain(self) -> None:
        """Stop receiving; the iteration ends after the messages that have already arrived."""


class Delivery(Protocol):
    """One message of a work queue, owned until it is acknowledged, returned or terminated."""

    @property
    def stored(self) -> StoredMessage:
        """The message and its position in the stream."""

    @property
    def deliveries(self) -> int:
        """Number of deliveries of the message, including this one."""

    async def ack(self) -> None:
        """Acknowledge the message: remove it from the queue."""

    async def nak(self, delay_s: float = 0.0) -> None:
        """Return the message to the queue for redelivery after `delay_s` seconds."""

    async def term(self, reason: str) -> None:
        """Terminate the message: remove it from the queue without success, for `reason`."""

    async def in_progress(self) -> None:
        """Report progress: restart the acknowledgement deadline."""


class Consumer(Protocol):
    """A member of a work queue: each message goes to one consumer of the durable name."""

    async def next(self) -> Delivery:
        """Wait for the next message, also across outages of the server.

        A cancelled wait loses no message.

        Raises
        ------
        BusClosedError
            The connection is closed permanently.
        """


class Bucket(Protocol):
    """A key-value bucket; keys are names joined by dots."""

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, or None."""

    async def put(self, key: str, value: bytes) -> int:
        """Set `key` unconditionally and return the revision."""

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        """Set `key` if its revision is still `revision`; 0: if the key does not exist.

        Raises
        ------
        RevisionConflictError
            The key was changed meanwhile.
        """

    async def delete(self, key: str) -> None:
        """Remove `key`; a missing key is not an error."""

    async def forget(self, key: str) -> None:
        """Remove the history of `key`, including the marker of its deletion.

        A watcher that has not yet read the deletion never reads it.
        """

    async def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""

    def watch(self, keys: str = ">") -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Read the newest value of every key that `keys` matches, then every change, in order.

        `keys` is a subject pattern. The watch continues across outages of the server; of several
        changes of a key during an outage, only the newest may be seen. Only one task may read at a
        time, and a cancelled read loses nothing.
        """


class Objects(Protocol):
    """A bucket of values too large for a message; an object is stored completely or not at all."""

    async def put(self, name: str, data: bytes) -> StoredObject:
        """Store `data` under `name`, replacing an existing object, and return a reference to it.

        Raises
        ------
        StorageFullError
            The bucket is full; nothing of the object is stored.
        """

    async def get(self, name: str) -> bytes | None:
        """Return the object `name`, or None if it does not exist or is no longer complete."""

    async def delete(self, name: str) -> None:
        """Remove the object `name`; a missing object is not an error."""

    async def clear(self) -> None:
        """Remove all objects, and the remains of earlier deletions."""


class Bus(Protocol):
    """Core messaging: at most once, in order per publisher and subject, not stored.

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
        """Send to the current subscribers; replies, one or many, go to the subject `reply`."""

    def subscribe(
        self, subject: str, queue: str | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe; with `queue`, each message goes to one member of that group.

        Entering the context waits until the server has registered the subscription, also during a
        reconnect; the caller sets the deadline.
        """

    async def request(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
    ) -> Message:
        """Send a request and wait for one reply.

        Raises
        ------
        NoRespondersError
            `subject` has no subscribers.
        BusTimeoutError
            No reply arrived within `timeout_s`.
        """

    def new_inbox(self) -> str:
        """Return a new reply subject of this connection, under its inbox prefix."""

    async def closed(self) -> None:
        """Wait until the connection is closed permanently."""

    @property
    def is_connected(self) -> bool:
        """Whether the connection to the server is up."""

    @property
    def max_message_bytes(self) -> int:
        """Maximum size of a message body, bytes, by the limits of server and contract."""

    @property
    def log(self) -> DurableLog:
        """The persisted part of the bus."""


class DurableLog(Protocol):
    """Streams, work queues and buckets: stored once acknowledged, delivered at least once."""

    @property
    def api(self) -> str:
        """Prefix of the subjects of the JetStream API, such as ``$JS.API``."""

    async def declare(self, topology: Topology, *, update: bool = False) -> None:
        """Create what is missing; with `update`, also apply the topology's limits to what exists.

        Other settings, which an operator may have changed, are not modified.
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
        """Append to the stream of `subject`; a known `msg_id` is not stored again.

        With `expect_seq`, store only if the newest message of `subject` has that sequence (0: if
        there is none); then a duplicate is a conflict too.

        Raises
        ------
        RevisionConflictError
            The newest message of `subject` is a different one.
        BusTimeoutError, BusUnreachableError, StorageFullError
            Transient: retry with the same id. A subject without a stream cannot be distinguished
            from a stream that is starting, and is reported as unreachable too.
        NotStoredError
            Permanent: the message is too large, or the server rejects it.
        """

    def consume(self, stream: str, durable: str) -> AbstractAsyncContextManager[Consumer]:
        """Join the work queue; leaving returns prefetched messages to it."""

    def replay(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        start_time_ns: int | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredMessage]]:
        """Read the stream in order from `start_seq`, and continue with new messages without a gap.

        With `start_time_ns`, messages stored before that time, nanoseconds UTC, are omitted too.
        A cancelled read loses nothing: the next one continues after the last returned message.
        Only one task may read at a time.
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
        """Read the stored messages in order from `start_seq`, and end after the last one.

        With `start_time_ns`, messages stored before that time, nanoseconds UTC, are omitted too.
        Messages that are removed before they are read (expired, replaced, purged) are omitted, so
        do not count messages first and wait for that number. Messages stored meanwhile may be read.
        With `headers_only`, bodies are omitted.
        """

    async def purge(
        self, stream: str, pattern: str, *, keep: int = 0, before_seq: int | None = None
    ) -> None:
        """Remove the messages whose subject matches `pattern`, also those that are in flight.

        The newest `keep` of them are kept or, with `before_seq`, those with this sequence or a
        higher one; pass only one of the two. Other messages keep their sequences, and duplicates of
        removed messages are still detected.
        """

    async def accept(self, stream: str, subjects: tuple[str, ...]) -> None:
        """Change the subjects of `stream`; stored messages on other subjects are kept.

        A publish to another subject then fails as if there were no stream.
        """

    async def remove(self, stream: str, seq: int) -> None:
        """Remove the message with the sequence `seq`, which must exist."""

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the newest message ever stored in `stream`, or 0."""

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        """Return the number of messages in `stream` for each subject that matches `pattern`."""

    async def backlog(self, stream: str, durable: str) -> Backlog:
        """Return the backlog of the durable consumer."""

    async def usage(self, stream: str | None = None) -> Usage:
        """Return the storage used by a stream, or by the whole account if `stream` is None."""

    async def bucket(self, name: str) -> Bucket:
        """Open a declared bucket."""

    async def objects(self, name: str) -> Objects:
        """Open a declared bucket of the object store."""
