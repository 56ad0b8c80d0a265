"""JetStream as the persisted half of the bus."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import nats.js.errors
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from cwt_runtime.bus import (
    Backlog,
    BucketSpec,
    Consumer,
    ConsumerSpec,
    ObjectsSpec,
    StoreAck,
    StoredMessage,
    StreamSpec,
    Topology,
)
from cwt_runtime.bus.nats.bucket import NatsBucket
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.consumer import consume_queue, read_stream
from cwt_runtime.bus.nats.objects import NatsObjects, objects_config, objects_limits
from cwt_runtime.bus.nats.translate import driver_errors, driver_headers
from cwt_schemas.headers import MSG_ID

__all__ = ["NatsLog"]

#: The server stores a message only if this is the sequence of the newest one of its subject.
EXPECTED_SUBJECT_SEQ = "Nats-Expected-Last-Subject-Sequence"
#: Of a key-value bucket, as the driver makes it.
BUCKET_DUPLICATE_WINDOW_S = 120.0


class NatsLog:
    """Implements `cwt_runtime.bus.DurableLog`."""

    def __init__(self, client: OrderedClient) -> None:
        self._client = client
        self._js = client.js

    async def declare(self, topology: Topology, *, update: bool = False) -> None:
        """Create what is missing; with `update`, also bring existing limits to those stated."""
        with driver_errors():
            for stream in topology.streams:
                await self._declare_stream(stream, update=update)
            for consumer in topology.consumers:
                await self._declare_consumer(consumer, update=update)
            for bucket in topology.buckets:
                await self._declare_bucket(bucket, update=update)
            for objects in topology.objects:
                await self._declare_objects(objects, update=update)

    async def _declare_stream(self, spec: StreamSpec, *, update: bool) -> None:
        await self._declare_config(stream_config(spec), stream_limits(spec), update=update)

    async def _declare_objects(self, spec: ObjectsSpec, *, update: bool) -> None:
        await self._declare_config(objects_config(spec), objects_limits(spec), update=update)

    async def _declare_config(
        self, fresh: StreamConfig, limits: dict[str, Any], *, update: bool
    ) -> None:
        try:
            present = (await self._js.stream_info(str(fresh.name))).config
        except nats.js.errors.NotFoundError:
            await self._js.add_stream(fresh)
            return
        wanted = present.evolve(**limits)
        if update and wanted != present:
            await self._js.update_stream(wanted)

    async def _declare_consumer(self, spec: ConsumerSpec, *, update: bool) -> None:
        try:
            present = (await self._js.consumer_info(spec.stream, spec.name)).config
        except nats.js.errors.NotFoundError:
            await self._js.add_consumer(spec.stream, consumer_config(spec))
            return
        wanted = present.evolve(**consumer_limits(spec))
        if update and wanted != present:
            await self._js.add_consumer(spec.stream, wanted)

    async def _declare_bucket(self, spec: BucketSpec, *, update: bool) -> None:
        stream = f"KV_{spec.name}"  # ADR-8
        try:
            present = (await self._js.stream_info(stream)).config
        except nats.js.errors.NotFoundError:
            config = KeyValueConfig(
                bucket=spec.name,
                history=spec.history,
                ttl=spec.max_age_s,
                max_bytes=spec.max_bytes,
                storage=StorageType.FILE,
                replicas=spec.replicas,
            )
            await self._js.create_key_value(config)
            return
        wanted = present.evolve(**bucket_limits(spec))
        if update and wanted != present:
            await self._js.update_stream(wanted)

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
        given = {**(headers or {}), MSG_ID: msg_id}
        if expect_seq is not None:
            given[EXPECTED_SUBJECT_SEQ] = str(expect_seq)
        with driver_errors():
            ack = await self._js.publish(subject, data, headers=driver_headers(given))
        return StoreAck(stream=ack.stream, seq=ack.seq, duplicate=bool(ack.duplicate))

    def consume(self, stream: str, durable: str) -> AbstractAsyncContextManager[Consumer]:
        """Take part in the work queue while the context is open."""
        return consume_queue(self._client, stream, durable)

    def replay(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        start_time_ns: int | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredMessage]]:
        """Read the stream in order from a sequence or a time, and go on with what comes."""
        return read_stream(
            self._client,
            stream,
            subjects,
            start_seq=start_seq,
            start_time_ns=start_time_ns,
            follow=True,
        )

    def read(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        headers_only: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredMessage]]:
        """Read what the stream holds, in order, and end."""
        return read_stream(
            self._client,
            stream,
            subjects,
            start_seq=start_seq,
            headers_only=headers_only,
            follow=False,
        )

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the newest message ever stored in `stream`, 0 for none."""
        with driver_errors():
            info = await self._js.stream_info(stream)
        return int(info.state.last_seq)

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        """Return how many messages `stream` holds of each subject that `pattern` matches."""
        with driver_errors():
            info = await self._js.stream_info(stream, subjects_filter=pattern)
        return info.state.subjects or {}

    async def backlog(self, stream: str, durable: str) -> Backlog:
        """Return how far the durable consumer is behind."""
        with driver_errors():
            info = await self._js.consumer_info(stream, durable)
        return Backlog(waiting=info.num_pending or 0, in_flight=info.num_ack_pending or 0)

    async def bucket(self, name: str) -> NatsBucket:
        """Open a declared bucket."""
        with driver_errors():
            return NatsBucket(self._client, await self._js.key_value(name), name)

    async def objects(self, name: str) -> NatsObjects:
        """Open a declared bucket of the object store."""
        with driver_errors():
            return NatsObjects(self._client, await self._js.object_store(name), name)


def stream_config(spec: StreamSpec) -> StreamConfig:
    """Return the server's configuration of a stream that is made."""
    return StreamConfig(
        name=spec.name,
        retention=(
            RetentionPolicy.WORK_QUEUE if spec.retention == "workqueue" else RetentionPolicy.LIMITS
        ),
        storage=StorageType.FILE,
        allow_direct=True,
        num_replicas=spec.replicas,
    ).evolve(**stream_limits(spec))


def stream_limits(spec: StreamSpec) -> dict[str, Any]:
    """Return what this project states of a stream that exists; the rest is its operator's."""
    return {
        "subjects": list(spec.subjects),
        "discard": DiscardPolicy.NEW if spec.when_full == "refuse_new" else DiscardPolicy.OLD,
        "max_bytes": spec.max_bytes,
        "max_age": spec.max_age_s,
        "duplicate_window": spec.duplicate_window_s,
        **({} if spec.per_subject is None else {"max_msgs_per_subject": spec.per_subject}),
    }


def bucket_limits(spec: BucketSpec) -> dict[str, Any]:
    """Return what this project states of a bucket that exists; the rest is its operator's."""
    return {
        "max_age": spec.max_age_s,
        "max_bytes": -1 if spec.max_bytes is None else spec.max_bytes,
        # The server wants ids forgotten before messages are.
        "duplicate_window": min(BUCKET_DUPLICATE_WINDOW_S, spec.max_age_s or math.inf),
    }


def consumer_config(spec: ConsumerSpec) -> ConsumerConfig:
    """Return the server's configuration of a work-queue consumer that is made."""
    return ConsumerConfig(
        durable_name=spec.name,
        ack_policy=AckPolicy.EXPLICIT,
        # Without limit: giving up is the worker's decision, which leaves a dead letter.
        max_deliver=-1,
    ).evolve(**consumer_limits(spec))


def consumer_limits(spec: ConsumerSpec) -> dict[str, Any]:
    """Return what this project states of a consumer that exists; the rest is its operator's."""
    return {"ack_wait": spec.ack_wait_s, "max_ack_pending": spec.max_ack_pending}
