"""A JetStream key-value bucket."""

from __future__ import annotations

import nats.js.errors
from nats.js.kv import KeyValue

from services.runtime.bus import Entry
from services.runtime.nats_bus.translate import driver_errors

__all__ = ["NatsBucket"]


class NatsBucket:
    """Implements `services.runtime.bus.Bucket`."""

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, or None."""
        with driver_errors():
            try:
                entry = await self._bucket.get(key)
            except nats.js.errors.KeyNotFoundError:
                return None
        return Entry(value=entry.value or b"", revision=entry.revision or 0)

    async def put(self, key: str, value: bytes) -> int:
        """Set `key`, whatever it was, and return the revision."""
        with driver_errors():
            return await self._bucket.put(key, value)

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        """Set `key` if its revision is still `revision` (0: if there is none yet)."""
        with driver_errors():
            if revision == 0:
                return await self._bucket.create(key, value)
            return await self._bucket.update(key, value, last=revision)

    async def delete(self, key: str) -> None:
        """Remove `key`; removing what is not there is no error."""
        with driver_errors():
            await self._bucket.delete(key)

    async def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""
        with driver_errors():
            try:
                return tuple(sorted(await self._bucket.keys()))
            except nats.js.errors.NoKeysError:
                return ()
