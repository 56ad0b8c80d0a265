"""JetStream as the persisted part of the bus."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    ExternalStream,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamSource,
)

from cwt_runtime.bus import (
    Backlog,
    BucketSpec,
    Consumer,
    ConsumerSpec,
    CopySpec,
    ObjectsSpec,
    StoreAck,
    StoredMessage,
    StreamSpec,
    Topology,
    Usage,
)
from cwt_runtime.bus.nats.bucket import NatsBucket
from cwt_runtime.bus.nats.client import STORE_TIMEOUT_S, OrderedClient
from cwt_runtime.bus.nats.consumer import consume_queue, read_stream
from cwt_runtime.bus.nats.objects import NatsObjects, objects_config, objects_limits
from cwt_runtime.bus.nats.translate import driver_errors, driver_headers
from cwt_schemas.headers import MSG_ID

__all__ = ["NatsLog"]

#: Header: store only if the newest message of the subject has this sequence.
EXPECTED_SUBJECT_SEQ = "Nats-Expected-Last-Subject-Sequence"
#: Duplicate window of a key-value bucket created by the driver.
BUCKET_DUPLICATE_WINDOW_S = 120.0


class NatsLog:
    """Implements `cwt_runtime.bus.DurableLog`."""

    def __init__(self, client: OrderedClient) -> None:
        self._client = client
        self._js = client.js

    @property
    def api(self) -> str:
        """Prefix of the subjects of the JetStream API, such as ``$JS.API``."""
        return self._client.js_api

    async def declare(self, topology: Topology, *, update: bool = False) -> None:
        """Create what is missing; with `update`, also apply the limits to what exists."""
        with driver_errors():
            for stream in topology.streams:
                await self._declare_stream(stream, update=update)
            for consumer in topology.consumers:
                await self._declare_consumer(consumer, update=update)
            for bucket in topology.buckets:
                await self._declare_bucket(bucket, update=update)
            for objects in topology.objects:
                await self._declare_objects(objects, update=update)
            for copy in topology.copies:
                await self._declare_copy(copy, update=update)

    async def _declare_stream(self, spec: StreamSpec, *, update: bool) -> None:
        fresh, limits = stream_config(spec), stream_limits(spec)
        await self._declare_config(self._js, fresh, limits, update=update)

    async def _declare_objects(self, spec: ObjectsSpec, *, update: bool) -> None:
        fresh, limits = objects_config(spec), objects_limits(spec)
        await self._declare_config(self._js, fresh, limits, update=update)

    async def _declare_copy(self, spec: CopySpec, *, update: bool) -> None:
        js = self._client.jetstream(timeout=STORE_TIMEOUT_S, domain=spec.domain)
        await self._declare_config(js, copy_config(spec), copy_limits(spec), update=update)

    async def _declare_config(
        self, js: JetStreamContext, fresh: StreamConfig, limits: dict[str, Any], *, update: bool
    ) -> None:
        try:
            present = (await js.stream_info(str(fresh.name))).config
        except nats.js.errors.NotFoundError:
            await js.add_stream(fresh)
            return
        updated = present.evolve(**limits)
        if update and updated != present:
            await js.update_stream(updated)

    async def _declare_consumer(self, spec: ConsumerSpec, *, update: bool) -> None:
        try:
            present = (await self._js.consumer_info(spec.stream, spec.name)).config
        except nats.js.errors.NotFoundError:
            await self._js.add_consumer(spec.stream, consumer_config(spec))
            return
        updated = present.evolve(**consumer_limits(spec))
        if update and updated != present:
            await self._js.add_consumer(spec.stream, updated)

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
        updated = present.evolve(**bucket_limits(spec))
        if update and updated != present:
            await self._js.update_stream(updated)

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        """Append to the stream of `subject`; a known `msg_id` is not stored again."""
        fields = {**(headers or {}), MSG_ID: msg_id}
        if expect_seq is not None:
            fields[EXPECTED_SUBJECT_SEQ] = str(expect_seq)
        with driver_errors():
            ack = await self._js.publish(subject, data, headers=driver_headers(fields))
        return StoreAck(stream=ack.stream, seq=ack.seq, duplicate=bool(ack.duplicate))

    def consume(self, stream: str, durable: str) -> AbstractAsyncContextManager[Consumer]:
        """Join the work queue while the context is open."""
        return consume_queue(self._client, stream, durable)

    def replay(
        self,
        stream: str,
        subjects: tuple[str, ...],
        *,
        start_seq: int = 1,
        start_time_ns: int | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredMessage]]:
        """Read the stream in order from a sequence or a time, and continue with new messages."""
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
        start_time_ns: int | None = None,
        headers_only: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredMessage]]:
        """Read the stored messages in order, and end after the last one."""
        return read_stream(
            self._client,
            stream,
            subjects,
            start_seq=start_seq,
            start_time_ns=start_time_ns,
            headers_only=headers_only,
            follow=False,
        )

    async def purge(
        self, stream: str, pattern: str, *, keep: int = 0, before_seq: int | None = None
    ) -> None:
        """Remove all or the oldest messages whose subject matches `pattern`."""
        with driver_errors():
            await self._js.purge_stream(stream, subject=pattern, keep=keep or None, seq=before_seq)

    async def accept(self, stream: str, subjects: tuple[str, ...]) -> None:
        """Change the subjects of `stream`; stored messages on other subjects are kept."""
        with driver_errors():
            present = (await self._js.stream_info(stream)).config
            await self._js.update_stream(present.evolve(subjects=list(subjects)))

    async def remove(self, stream: str, seq: int) -> None:
        """Remove the message with the sequence `seq`, which must exist."""
        with driver_errors():
            await self._js.delete_msg(stream, seq)

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the newest message ever stored in `stream`, or 0."""
        with driver_errors():
            info = await self._js.stream_info(stream)
        return int(info.state.last_seq)

    async def subject_counts(self, stream: str, pattern: str) -> Mapping[str, int]:
        """Return the number of messages in `stream` for each subject that matches `pattern`."""
        with driver_errors():
            info = await self._js.stream_info(stream, subjects_filter=pattern)
        return info.state.subjects or {}

    async def backlog(self, stream: str, durable: str) -> Backlog:
        """Return the backlog of the durable consumer."""
        with driver_errors():
            info = await self._js.consumer_info(stream, durable)
        return Backlog(
            waiting=info.num_pending or 0,
            in_flight=info.num_ack_pending or 0,
            is_paused=bool(info.paused),
        )

    async def usage(self, stream: str | None = None) -> Usage:
        """Return the storage used by a stream, or by the whole account if `stream` is None."""
        with driver_errors():
            if stream is None:
                account = await self._js.account_info()
                return Usage(
                    size_bytes=account.storage, max_bytes=_limit(account.limits.max_storage)
                )
            info = await self._js.stream_info(stream)
        return Usage(
            size_bytes=info.state.bytes,
            max_bytes=_limit(info.config.max_bytes),
            refuses_new=info.config.discard == DiscardPolicy.NEW,
            subjects=tuple(info.config.subjects or ()),
            first_seq=info.state.first_seq,
            last_seq=info.state.last_seq,
        )

    async def bucket(self, name: str) -> NatsBucket:
        """Open a declared bucket."""
        with driver_errors():
            return NatsBucket(self._client, await self._js.key_value(name), name)

    async def objects(self, name: str) -> NatsObjects:
        """Open a declared bucket of the object store."""
        with driver_errors():
            return NatsObjects(self._client, await self._js.object_store(name), name)


def _limit(reported: int | None) -> int | None:
    """Return a limit reported by the server, which is zero or negative for no limit."""
    return reported if reported and reported > 0 else None


def stream_config(spec: StreamSpec) -> StreamConfig:
    """Return the server's configuration of a new stream."""
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
    """Return the settings of a stream that an update enforces; operators may change the others."""
    return {
        "subjects": list(spec.subjects),
        "discard": DiscardPolicy.NEW if spec.when_full == "refuse_new" else DiscardPolicy.OLD,
        "max_bytes": spec.max_bytes,
        "max_age": spec.max_age_s,
        "duplicate_window": spec.duplicate_window_s,
        **({} if spec.per_subject is None else {"max_msgs_per_subject": spec.per_subject}),
    }


def copy_config(spec: CopySpec) -> StreamConfig:
    """Return the server's configuration of a new copy."""
    external = ExternalStream(api=spec.origin_api, deliver=f"{spec.delivery}.{spec.stream}")
    return StreamConfig(
        name=spec.stream,
        mirror=StreamSource(name=spec.stream, external=external),
        storage=StorageType.FILE,
        # Messages are removed only when the original removes them.
        deny_delete=True,
        deny_purge=True,
        num_replicas=spec.replicas,
    ).evolve(**copy_limits(spec))


def copy_limits(spec: CopySpec) -> dict[str, Any]:
    """Return the settings of a copy that an update enforces; operators may change the others."""
    return {"max_bytes": spec.max_bytes, "max_age": spec.max_age_s}


def bucket_limits(spec: BucketSpec) -> dict[str, Any]:
    """Return the settings of a bucket that an update enforces; operators may change the others."""
    return {
        "max_age": spec.max_age_s,
        "max_bytes": -1 if spec.max_bytes is None else spec.max_bytes,
        # The server requires that message ids expire no later than messages.
        "duplicate_window": min(BUCKET_DUPLICATE_WINDOW_S, spec.max_age_s or math.inf),
    }


def consumer_config(spec: ConsumerSpec) -> ConsumerConfig:
    """Return the server's configuration of a new work-queue consumer."""
    return ConsumerConfig(
        durable_name=spec.name,
        ack_policy=AckPolicy.EXPLICIT,
        # No limit: the worker decides when to give up, and stores a dead letter.
        max_deliver=-1,
    ).evolve(**consumer_limits(spec))


def consumer_limits(spec: ConsumerSpec) -> dict[str, Any]:
    """Return the settings of a consumer that an update enforces; operators may change others."""
    return {"ack_wait": spec.ack_wait_s, "max_ack_pending": spec.max_ack_pending}
