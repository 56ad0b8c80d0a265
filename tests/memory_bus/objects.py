"""A bucket of large values inside one process."""

from __future__ import annotations

import hashlib

import anyio.lowlevel

from cwt_runtime.bus import ObjectsSpec
from cwt_runtime.bus.errors import StorageFullError
from cwt_schemas.message import StoredObject

__all__ = ["MemoryObjects"]


class MemoryObjects:
    """Implements `cwt_runtime.bus.Objects`; nothing grows old here."""

    def __init__(self, spec: ObjectsSpec) -> None:
        self.spec = spec
        self._kept: dict[str, bytes] = {}

    async def put(self, name: str, data: bytes) -> StoredObject:
        """Store `data` under `name`, replacing an earlier object, and return its place."""
        await anyio.lowlevel.checkpoint()
        others = {key: kept for key, kept in self._kept.items() if key != name}
        while sum(map(len, others.values())) + len(data) > self.spec.max_bytes:
            if self.spec.when_full == "refuse_new" or not others:
                raise StorageFullError(f"maximum bytes exceeded in {self.spec.name}")
            del others[next(iter(others))]
        self._kept = {**others, name: bytes(data)}
        sha256 = hashlib.sha256(data).hexdigest()
        return StoredObject(bucket=self.spec.name, name=name, size=len(data), sha256=sha256)

    async def get(self, name: str) -> bytes | None:
        """Return the object stored under `name`, or None."""
        await anyio.lowlevel.checkpoint()
        return self._kept.get(name)

    async def delete(self, name: str) -> None:
        """Remove the object stored under `name`; a missing object is not an error."""
        await anyio.lowlevel.checkpoint()
        self._kept.pop(name, None)

    async def clear(self) -> None:
        """Remove everything that is kept."""
        await anyio.lowlevel.checkpoint()
        self._kept.clear()
