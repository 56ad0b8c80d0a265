"""A JetStream key-value bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import nats.js.errors
from nats.js.kv import KV_DEL, KV_MARKER_REASON, KV_OP, KV_PURGE, KeyValue

from cwt_runtime.bus import Change, Entry, StoredMessage
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.consumer import read_stream
from cwt_runtime.bus.nats.translate import driver_errors

__all__ = ["NatsBucket"]


class NatsBucket:
    """Implements `cwt_runtime.bus.Bucket`."""

    def __init__(self, client: OrderedClient, bucket: KeyValue, name: str) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, or None."""
        with driver_errors():
            try:
                entry = await self._bucket.get(key)
            except nats.js.errors.KeyNotFoundError:
                return None
        return Entry(value=entry.value or b"", revision=entry.revision or 0)

    async def put(self, key: str, value: bytes) -> int:
        """Set `key` unconditionally and return the revision."""
        with driver_errors():
            return await self._bucket.put(key, value)

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        """Set `key` if its revision is still `revision`; 0: if the key does not exist."""
        with driver_errors():
            if revision == 0:
                return await self._bucket.create(key, value)
            return await self._bucket.update(key, value, last=revision)

    async def delete(self, key: str) -> None:
        """Remove `key`; a missing key is not an error."""
        with driver_errors():
            await self._bucket.delete(key)

    async def forget(self, key: str) -> None:
        """Remove the history of `key`, including the marker of its deletion."""
        with driver_errors():
            await self._client.js.purge_stream(
                f"KV_{self._name}", subject=f"$KV.{self._name}.{key}"
            )

    async def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""
        # The driver's `keys` is not used: it waits for keys that expire while it reads.
        async with self._changes(">", headers_only=True, follow=False) as changes:
            # If a key changes meanwhile, several of its values may be read.
            is_there = {each.key: each.value is not None async for each in changes}
        return tuple(sorted(key for key in is_there if is_there[key]))

    def watch(self, keys: str = ">") -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Read the newest value of every key that `keys` matches, then every change, in order."""
        return self._changes(keys)

    @asynccontextmanager
    async def _changes(
        self, keys: str, *, headers_only: bool = False, follow: bool = True
    ) -> AsyncIterator[AsyncIterator[Change]]:
        # A bucket is a stream whose subjects are the keys (ADR-8).
        prefix = f"$KV.{self._name}."
        async with read_stream(
            self._client,
            f"KV_{self._name}",
            (prefix + keys,),
            newest=True,
            headers_only=headers_only,
            follow=follow,
        ) as stored:
            yield _Changes(stored, prefix)


class _Changes:
    """Iterator over changes; not a generator, because a cancelled read must not end it."""

    def __init__(self, stored: AsyncIterator[StoredMessage], prefix: str) -> None:
        self._stored = stored
        self._prefix = prefix

    def __aiter__(self) -> _Changes:
        return self

    async def __anext__(self) -> Change:
        stored = await anext(self._stored)
        headers = stored.message.headers
        # The server's markers of expired keys have a different header from the driver's.
        removed = headers.get(KV_OP) in {KV_DEL, KV_PURGE} or KV_MARKER_REASON in headers
        return Change(
            key=stored.message.subject.removeprefix(self._prefix),
            value=None if removed else stored.message.data,
            revision=stored.seq,
        )
