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

#: Larger than the driver's 128 KiB: each chunk waits for its acknowledgement.
CHUNK_BYTES = 1024 * 1024
#: The largest object takes some seconds; this covers a server that restarts meanwhile.
READ_TIMEOUT_S = 30.0
#: A copy of a bucket, in another domain, follows within milliseconds: what a service has just
#: announced may not be there yet.
COPY_LAG_S = 5.0
COPY_POLL_S = 0.02


class NatsObjects:
    """Implements `cwt_runtime.bus.Objects`."""

    def __init__(self, client: OrderedClient, store: ObjectStore, name: str) -> None:
        self._client = client
        self._store = store
        self._name = name

    async def put(self, name: str, data: bytes) -> StoredObject:
        """Keep `data` under `name`, in place of what was there, and say where it is."""
        meta = ObjectMeta(name=name, options=ObjectMetaOptions(max_chunk_size=CHUNK_BYTES))
        with driver_errors():
            info = await self._store.put(name, data, meta)
            if not await self._whole(info):  # a bucket that drops the oldest drops its beginning
                await self._store.delete(name)
                raise StorageFullError(f"{self._name} has no room for {len(data)} bytes")
        return StoredObject(bucket=self._name, name=name, size=len(data), sha256=digest_of(info))

    async def get(self, name: str) -> bytes | None:
        """Return what is kept under `name`; None if there is nothing, or no longer all of it."""
        info = await self._info(name)
        if info is None:
            return None
        try:
            with anyio.fail_after(READ_TIMEOUT_S):
                return await self._read(info)
        except TimeoutError as error:
            raise BusTimeoutError(f"{name} was not read in {READ_TIMEOUT_S:g} s") from error

    async def _info(self, name: str) -> ObjectInfo | None:
        """Return what is known of an object; wait for it if the bucket may be a copy."""
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
        """Return the object, or None if some of its chunks are gone.

        Not with the driver, which counts the chunks and waits for those removed meanwhile.
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
        """Tell whether all chunks are there."""
        if not info.chunks:
            return True
        chunks = self._chunks(info)
        found = await self._client.js.stream_info(stream_name(self._name), subjects_filter=chunks)
        return (found.state.subjects or {}).get(chunks, 0) == info.chunks

    def _chunks(self, info: ObjectInfo) -> str:
        """Return the subject of the object's chunks (ADR-20)."""
        return f"$O.{self._name}.C.{info.nuid}"

    async def delete(self, name: str) -> None:
        """Remove what is kept under `name`; removing what is not there is no error."""
        with driver_errors():
            try:
                await self._store.delete(name)
            except nats.js.errors.NotFoundError:
                return

    async def clear(self) -> None:
        """Remove all objects, and what earlier deletions have left in the store."""
        with driver_errors():
            await self._client.js.purge_stream(stream_name(self._name))


def digest_of(info: ObjectInfo) -> str:
    """Return the SHA-256 in hexadecimal; the driver has it as ``SHA-256=<base64>`` (ADR-20)."""
    given = str(info.digest).partition("=")[2]
    return base64.urlsafe_b64decode(given).hex()


def stream_name(bucket: str) -> str:
    """Return the stream behind a bucket of the object store (ADR-20)."""
    return f"OBJ_{bucket}"


def objects_config(spec: ObjectsSpec) -> Config:
    """Return the server's configuration of the stream behind a bucket that is made (ADR-20)."""
    return Config(
        name=stream_name(spec.name),
        subjects=[f"$O.{spec.name}.C.>", f"$O.{spec.name}.M.>"],
        storage=StorageType.FILE,
        allow_rollup_hdrs=True,
        allow_direct=True,
        num_replicas=spec.replicas,
    ).evolve(**objects_limits(spec))


def objects_limits(spec: ObjectsSpec) -> dict[str, Any]:
    """Return what this project states of a bucket that exists; the rest is its operator's."""
    return {
        "discard": DiscardPolicy.NEW if spec.when_full == "refuse_new" else DiscardPolicy.OLD,
        "max_bytes": spec.max_bytes,
        "max_age": spec.max_age_s,
    }
