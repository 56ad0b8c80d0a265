"""The currently valid keys, from the bucket of keys.

The gateway watches the bucket, so adding or revoking a key takes effect within milliseconds. No key
is valid until all keys have been read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio
from anyio.abc import TaskStatus

from cwt_runtime.bus import Change, DurableLog
from cwt_runtime.storage.keys import digest_of, record_of
from cwt_schemas import storage
from cwt_schemas.access import KeyRecord

__all__ = ["Grant", "KeyRing"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grant:
    """An accepted key."""

    record: KeyRecord
    #: Revision of the key in the bucket, which distinguishes a later key of the same name.
    revision: int
    revoked: anyio.Event = field(default_factory=anyio.Event)

    @property
    def fault(self) -> str | None:
        """Reason for which the key is no longer valid, or None."""
        if self.revoked.is_set():
            return f"the key {self.record.name} was revoked"
        expires_ns = self.record.expires_ns
        if expires_ns is not None and time.time_ns() >= expires_ns:
            expired = datetime.fromtimestamp(expires_ns / 1e9, UTC)
            return f"the key {self.record.name} expired on {expired:%Y-%m-%d at %H:%M:%S} UTC"
        return None

    async def ended(self) -> str:
        """Wait until the key is revoked or expires, and return which of the two."""
        while True:
            fault = self.fault
            if fault is not None:
                return fault
            if self.record.expires_ns is None:
                await self.revoked.wait()
                continue
            with anyio.move_on_after((self.record.expires_ns - time.time_ns()) / 1e9):
                await self.revoked.wait()


class KeyRing:
    """The valid keys, by hash and by name."""

    def __init__(self) -> None:
        self._by_digest: dict[str, Grant] = {}
        self._by_name: dict[str, Grant] = {}

    def of_key(self, key: str) -> Grant | None:
        """Return the grant of a key, or None if the key is unknown."""
        return self._by_digest.get(digest_of(key))

    def of_name(self, name: str) -> Grant | None:
        """Return the grant of the key with this name, or None."""
        return self._by_name.get(name)

    async def follow(self, log: DurableLog, *, task_status: TaskStatus[None]) -> None:
        """Watch the bucket until cancelled; report to `task_status` when all keys have been read.

        Raises
        ------
        BusError
            The bucket cannot be read.
        """
        bucket = await log.bucket(storage.KV_KEYS)
        unread = set(await bucket.keys())
        async with bucket.watch() as changes:
            if not unread:
                task_status.started()
            async for change in changes:
                self._take(change)
                if change.key in unread:
                    unread.remove(change.key)
                    if not unread:
                        task_status.started()

    def _take(self, change: Change) -> None:
        before = self._by_name.pop(change.key, None)
        if before is not None:
            del self._by_digest[before.record.digest]
            before.revoked.set()
        record = record_of(change.key, change.value)
        if record is not None:
            grant = Grant(record=record, revision=change.revision)
            self._by_name[record.name] = self._by_digest[record.digest] = grant
