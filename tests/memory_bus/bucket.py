"""A key-value bucket inside one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from cwt_runtime.bus import Change, Entry
from cwt_runtime.bus.errors import RevisionConflictError
from tests.memory_bus.subject import matches

__all__ = ["MemoryBucket"]


class MemoryBucket:
    """Implements `cwt_runtime.bus.Bucket`."""

    def __init__(self) -> None:
        self._newest: dict[str, Change] = {}
        self._revision = 0
        self._changed = anyio.Event()

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, or None."""
        newest = self._newest.get(key)
        if newest is None or newest.value is None:
            return None
        return Entry(value=newest.value, revision=newest.revision)

    async def put(self, key: str, value: bytes) -> int:
        """Set `key`, whatever it was, and return the revision."""
        return self._change(key, value)

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        """Set `key` if its revision is still `revision` (0: if there is none yet)."""
        present = await self.get(key)
        if (present.revision if present else 0) != revision:
            raise RevisionConflictError("the key was changed by another client")
        return self._change(key, value)

    async def delete(self, key: str) -> None:
        """Remove `key`; a missing key is not an error."""
        if await self.get(key) is not None:
            self._change(key, None)

    async def forget(self, key: str) -> None:
        """Remove all values that `key` ever had, and that it was removed."""
        self._newest.pop(key, None)

    async def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""
        return tuple(
            sorted(key for key, newest in self._newest.items() if newest.value is not None)
        )

    @asynccontextmanager
    async def watch(self, keys: str = ">") -> AsyncIterator[AsyncIterator[Change]]:
        """Read the newest value of every key that `keys` matches, then every change, in order."""
        yield MemoryWatch(self, keys)

    async def change_after(self, revision: int, keys: str) -> Change:
        """Wait for the next change of one of `keys` after `revision`."""
        while True:
            found = [
                change
                for change in self._newest.values()
                if change.revision > revision and matches(keys, change.key)
            ]
            if found:
                return min(found, key=lambda change: change.revision)
            await self._changed.wait()

    def _change(self, key: str, value: bytes | None) -> int:
        self._revision += 1
        self._newest[key] = Change(key=key, value=value, revision=self._revision)
        self._changed.set()
        self._changed = anyio.Event()
        return self._revision


class MemoryWatch:
    """Changes as they come."""

    def __init__(self, bucket: MemoryBucket, keys: str) -> None:
        self._bucket = bucket
        self._keys = keys
        self._seen = 0

    def __aiter__(self) -> MemoryWatch:
        return self

    async def __anext__(self) -> Change:
        await anyio.lowlevel.checkpoint()
        change = await self._bucket.change_after(self._seen, self._keys)
        self._seen = change.revision
        return change
