"""A bucket of the JetStream object store."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import anyio
import nats.js.errors
from nats.js.api import DiscardPolicy, ObjectInfo, ObjectMeta, ObjectMetaOptions, StorageType
from nats.js.api import StreamConfig as Config
from nats.js.object_store import ObjectStore

from cwt_runtime.bus import ObjectsSpec
from cwt_runtime.bus.errors import BusTimeoutError, StorageFullError
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.consumer import read_stream
from cwt_runtime.bus.nats.translate import driver_errors
from cwt_schemas.message import StoredObject

__all__ = ["NatsObjects", "objects_config", "objects_limits"]

#: Larger than the driver's 128 KiB, because the driver waits for the acknowledgement of each chunk.
CHUNK_BYTES = 1024 * 1024
#: Reading the largest object takes a few seconds; this also covers a restart of the server.
READ_TIMEOUT_S = 30.0
#: A copy of a bucket, in another domain, lags by milliseconds: an object that a service has just
#: announced may be missing in it.
COPY_LAG_S = 5.0
COPY_POLL_S = 0.02


class NatsObjects:
    """Implements `cwt_runtime.bus.Objects`."""

    def __init__(self, client: OrderedClient, store: ObjectStore, name: str) -> None:
        self._client = client
        self._store = store
        self._name = name

    async def put(self, name: str, data: bytes) -> StoredObject:
        """Store `data` under `name`, replacing an existing object, and return a reference to it."""
        meta = ObjectMeta(name=name, options=ObjectMetaOptions(max_chunk_size=CHUNK_BYTES))
        with driver_errors():
            info = await self._store.put(name, data, meta)
            if not await self._whole(info):  # a full bucket may have dropped its first chunks
                await self._store.delete(name)
                raise StorageFullError(
                    f"cannot store {len(data)} bytes: the bucket {self._name} is full"
                )
        return StoredObject(bucket=self._name, name=name, size=len(data), sha256=digest_of(info))

    async def get(self, name: str) -> bytes | None:
        """Return the object `name`, or None if it does not exist or is no longer complete."""
        info = await self._info(name)
        if info is None:
            return None
        try:
            with anyio.fail_after(READ_TIMEOUT_S):
                return await self._read(info)
        except TimeoutError as error:
            raise BusTimeoutError(
                f"cannot read the object {name}: not complete after {READ_TIMEOUT_S:g} s"
            ) from error

    async def _info(self, name: str) -> ObjectInfo | None:
        """Return the metadata of an object; wait for it if the bucket may be a copy."""
        deadline = anyio.current_time() + (COPY_LAG_S if self._client.domain else 0.0)
        while True:
            with driver_errors():
                try:
                    return await self._store.get_info(name)
                except nats.js.errors.ObjectNotFoundError:
                    if anyio.current_time() >= deadline:
                        return None
            await anyio.sleep(COPY_POLL_S)

    async def _read(self, info: ObjectInfo) -> bytes | None:
        """Return the object, or None if some of its chunks are missing.

        The driver is not used, because it counts the chunks and waits for those removed meanwhile.
        """
        body, digest = io.BytesIO(), hashlib.sha256()
        async with read_stream(
            self._client, stream_name(self._name), (self._chunks(info),), follow=False
        ) as chunks:
            async for stored in chunks:
                body.write(stored.message.data)
                digest.update(stored.message.data)
        return body.getvalue() if digest.hexdigest() == digest_of(info) else None

    async def _whole(self, info: ObjectInfo) -> bool:
        """Return whether all chunks of the object are stored."""
        if not info.chunks:
            return True
        chunks = self._chunks(info)
        stream = await self._client.js.stream_info(stream_name(self._name), subjects_filter=chunks)
        return (stream.state.subjects or {}).get(chunks, 0) == info.chunks

    def _chunks(self, info: ObjectInfo) -> str:
        """Return the subject of the object's chunks (ADR-20)."""
        return f"$O.{self._name}.C.{info.nuid}"

    async def delete(self, name: str) -> None:
        """Remove the object `name`; a missing object is not an error."""
        with driver_errors():
            try:
                await self._store.delete(name)
            except nats.js.errors.NotFoundError:
                return

    async def clear(self) -> None:
        """Remove all objects, and the remains of earlier deletions."""
        with driver_errors():
            await self._client.js.purge_stream(stream_name(self._name))


def digest_of(info: ObjectInfo) -> str:
    """Return the SHA-256 in hexadecimal; the metadata has ``SHA-256=<base64>`` (ADR-20)."""
    encoded = str(info.digest).partition("=")[2]
    return base64.urlsafe_b64decode(encoded).hex()


def stream_name(bucket: str) -> str:
    """Return the stream behind a bucket of the object store (ADR-20)."""
    return f"OBJ_{bucket}"


def objects_config(spec: ObjectsSpec) -> Config:
    """Return the server's configuration of the stream behind a new bucket (ADR-20)."""
    return Config(
        name=stream_name(spec.name),
        subjects=[f"$O.{spec.name}.C.>", f"$O.{spec.name}.M.>"],
        storage=StorageType.FILE,
        allow_rollup_hdrs=True,
        allow_direct=True,
        num_replicas=spec.replicas,
    ).evolve(**objects_limits(spec))


def objects_limits(spec: ObjectsSpec) -> dict[str, Any]:
    """Return the settings of a bucket that an update enforces; operators may change the others."""
    return {
        "discard": DiscardPolicy.NEW if spec.when_full == "refuse_new" else DiscardPolicy.OLD,
        "max_bytes": spec.max_bytes,
        "max_age": spec.max_age_s,
    }
