"""Streams, work queues and buckets inside one process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

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

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
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
            message=message, seq=self.last_seq, stored_ns=time.time_ns()
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

    def __init__(self) -> None:
        self._streams: dict[str, MemoryStream] = {}
        self._queues: dict[tuple[str, str], MemoryQueue] = {}
        self._buckets: dict[str, MemoryBucket] = {}
        self._objects: dict[str, MemoryObjects] = {}

    async def declare(self, topology: Topology, *, update: bool = False) -> None:
        """Create what is missing; with `update`, also bring existing limits to those stated."""
        for spec in topology.streams:
            if spec.name not in self._streams:
                self._streams[spec.name] = MemoryStream(spec)
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
        """Read the stream in order from a sequence or a time, and go on with what comes."""
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
        headers_only: bool = False,
    ) -> AsyncIterator[AsyncIterator[StoredMessage]]:
        """Read what the stream holds, in order, and end."""
        yield MemoryReplay(
            self._streams[stream],
            subjects,
            start_seq,
            0,
            headers_only=headers_only,
            follow=False,
        )

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
