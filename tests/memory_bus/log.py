"""Streams, work queues and buckets inside one process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import anyio.lowlevel

from cwt_runtime.bus import (
    Backlog,
    Consumer,
    Message,
    StoreAck,
    StoredMessage,
    StreamSpec,
    Topology,
    Usage,
)
from cwt_runtime.bus.errors import (
    BusUnreachableError,
    NotStoredError,
    RevisionConflictError,
    StorageFullError,
)
from tests.memory_bus.bucket import MemoryBucket
from tests.memory_bus.objects import MemoryObjects
from tests.memory_bus.queue import MemoryConsumer, MemoryQueue
from tests.memory_bus.replay import MemoryReplay
from tests.memory_bus.subject import matches

__all__ = ["MemoryLog"]


class MemoryStream:
    """One stream: its messages by sequence, the ids it has seen, and who waits for more."""

    def __init__(self, spec: StreamSpec, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.spec = spec
        self.now_ns = now_ns
        self.messages: dict[int, StoredMessage] = {}
        self.last_seq = 0
        self.ids: dict[str, int] = {}
        self.grown = anyio.Event()

    @property
    def size(self) -> int:
        """Bytes of payload held."""
        return sum(len(stored.message.data) for stored in self.messages.values())

    def append(self, message: Message, msg_id: str, expect_seq: int | None) -> StoreAck:
        """Store `message` unless its id is known, or another one than expected is the newest."""
        if expect_seq is not None and expect_seq != self._newest(message.subject):
            raise RevisionConflictError(f"another message of {message.subject} is the newest")
        if (known := self.ids.get(msg_id)) is not None:
            return StoreAck(stream=self.spec.name, seq=known, duplicate=True)
        self._keep_newest(message.subject)
        self._make_room(len(message.data))
        self.last_seq += 1
        self.ids[msg_id] = self.last_seq
        self.messages[self.last_seq] = StoredMessage(
            message=message, seq=self.last_seq, stored_ns=self.now_ns()
        )
        self.wake()
        return StoreAck(stream=self.spec.name, seq=self.last_seq, duplicate=False)

    def wake(self) -> None:
        """Tell everybody who waits that something changed."""
        self.grown.set()
        self.grown = anyio.Event()

    def _newest(self, subject: str) -> int:
        kept = (seq for seq, each in self.messages.items() if each.message.subject == subject)
        return max(kept, default=0)

    def _keep_newest(self, subject: str) -> None:
        """Leave room for one more message of `subject`."""
        limit = self.spec.per_subject
        if limit is None:
            return
        kept = [seq for seq, each in self.messages.items() if each.message.subject == subject]
        for seq in kept[: len(kept) - limit + 1]:
            del self.messages[seq]

    def _make_room(self, wanted: int) -> None:
        while self.size + wanted > self.spec.max_bytes:
            if self.spec.when_full == "refuse_new" or not self.messages:
                raise StorageFullError(f"maximum bytes exceeded in {self.spec.name}")
            del self.messages[min(self.messages)]


class MemoryLog:
    """Implements `cwt_runtime.bus.DurableLog`."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._streams: dict[str, MemoryStream] = {}
        self._queues: dict[tuple[str, str], MemoryQueue] = {}
        self._buckets: dict[str, MemoryBucket] = {}
        self._objects: dict[str, MemoryObjects] = {}
        #: Called with each stored message, for subscribers of its subject.
        self.deliver: Callable[[Message], object] = lambda _: None

    @property
    def api(self) -> str:
        """Prefix of the subjects of JetStream's own interface, such as ``$JS.API``."""
        return "$JS.API"

    async def declare(self, topology: Topology, *, update: bool = False) -> None:
        """Create missing streams and buckets; with `update`, also update existing limits."""
        for spec in topology.streams:
            if spec.name not in self._streams:
                self._streams[spec.name] = MemoryStream(spec, self._now_ns)
            elif update:
                self._streams[spec.name].spec = spec
        for consumer in topology.consumers:
            self._queues.setdefault(
                (consumer.stream, consumer.name),
                MemoryQueue(self._streams[consumer.stream], consumer),
            )
        for bucket in topology.buckets:
            self._buckets.setdefault(bucket.name, MemoryBucket())
        for objects in topology.objects:
            kept = self._objects.setdefault(objects.name, MemoryObjects(objects))
            if update:
                kept.spec = objects

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        """Append to the stream that holds `subject`; a known `msg_id` is not stored again."""
        await anyio.lowlevel.checkpoint()
        for stream in self._streams.values():
            if any(matches(pattern, subject) for pattern in stream.spec.subjects):
                message = Message(subject=subject, data=data, headers=dict(headers or {}))
                self.deliver(message)
                return stream.append(message, msg_id, expect_seq)
        raise BusUnreachableError(f"no stream holds {subject}")

    @asynccontextmanager
    async def consume(self, stream: str, durable: str) -> AsyncIterator[Consumer]:
        """Take part in the work queue while the context is open."""
        yield MemoryConsumer(self._queues[stream, durable])

    @asynccontextmanager
    async def replay(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        start_time_ns: int | None = None,
    ) -> AsyncIterator[AsyncIterator[StoredMessage]]:
        """Read the stream in order from a sequence or a time, then continue with new messages."""
        yield MemoryReplay(
            self._streams[stream],
            subjects,
            start_seq,
            start_time_ns or 0,
        )

    @asynccontextmanager
    async def read(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        start_time_ns: int | None = None,
        headers_only: bool = False,
    ) -> AsyncIterator[AsyncIterator[StoredMessage]]:
        """Read the stored messages of the stream in order, and end."""
        yield MemoryReplay(
            self._streams[stream],
            subjects,
            start_seq,
            start_time_ns or 0,
            headers_only=headers_only,
            follow=False,
        )

    async def purge(
        self, stream: str, pattern: str, *, keep: int = 0, before_seq: int | None = None
    ) -> None:
        """Remove messages on a subject that `pattern` matches: all, or the oldest."""
        if self._is_bucket(stream):
            return
        messages = self._stream(stream).messages
        removed = [seq for seq, each in messages.items() if matches(pattern, each.message.subject)]
        for seq in removed[: len(removed) - keep]:
            if before_seq is not None and seq >= before_seq:
                break
            del messages[seq]
            for (of, _), queue in self._queues.items():
                if of == stream:
                    queue.claims.pop(seq, None)

    async def accept(self, stream: str, subjects: tuple[str, ...]) -> None:
        """Have `stream` take messages on `subjects` only; it keeps those that it holds."""
        found = self._stream(stream)
        found.spec = replace(found.spec, subjects=subjects)

    async def remove(self, stream: str, seq: int) -> None:
        """Remove the message with the sequence `seq`, which must exist."""
        del self._streams[stream].messages[seq]

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the newest message ever stored in `stream`, 0 for none."""
        return self._streams[stream].last_seq

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        """Return how many messages `stream` holds of each subject that `pattern` matches."""
        held = (stored.message.subject for stored in self._streams[stream].messages.values())
        return Counter(subject for subject in held if matches(pattern, subject))

    async def backlog(self, stream: str, durable: str) -> Backlog:
        """Return how far the durable consumer is behind."""
        return self._queues[stream, durable].backlog()

    async def usage(self, stream: str | None = None) -> Usage:
        """Return how much of its room a stream has taken; None: all of them together."""
        if stream is None:
            return Usage(size_bytes=sum(each.size for each in self._streams.values()))
        if self._is_bucket(stream):
            return Usage(size_bytes=0)
        found = self._stream(stream)
        return Usage(
            size_bytes=found.size,
            max_bytes=found.spec.max_bytes,
            refuses_new=found.spec.when_full == "refuse_new",
            subjects=found.spec.subjects,
            first_seq=min(found.messages, default=found.last_seq + 1),
            last_seq=found.last_seq,
        )

    def _stream(self, name: str) -> MemoryStream:
        if name not in self._streams:
            raise NotStoredError("stream not found")
        return self._streams[name]

    def _is_bucket(self, stream: str) -> bool:
        """Tell whether JetStream's name of a stream is that of a bucket here."""
        kind, _, name = stream.partition("_")
        return name in (self._buckets if kind == "KV" else self._objects)

    async def bucket(self, name: str) -> MemoryBucket:
        """Open a declared bucket."""
        if name not in self._buckets:
            raise NotStoredError(f"there is no bucket {name}")
        return self._buckets[name]

    async def objects(self, name: str) -> MemoryObjects:
        """Open a declared bucket of the object store."""
        if name not in self._objects:
            raise NotStoredError(f"there is no bucket {name}")
        return self._objects[name]
