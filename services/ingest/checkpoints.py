"""Checkpoints of streams, and of the log as a whole, in a bucket."""

from __future__ import annotations

from schemas.checkpoint import StreamCheckpoint
from schemas.codec import ContentType, decode, encode
from services.runtime.bus import Bucket

__all__ = ["Checkpoints"]

#: How far the log was read, whatever its streams; no stream can have a dot in its name.
LOG_POSITION = "log.position"


class Checkpoints:
    """What a restarted ingest begins with."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def read(self, stream: str) -> StreamCheckpoint | None:
        """Return the checkpoint of `stream`, if there is one."""
        entry = await self._bucket.get(stream)
        return None if entry is None else decode(StreamCheckpoint, entry.value)

    async def write(self, checkpoint: StreamCheckpoint) -> None:
        """Keep a checkpoint; everything it stands for has to be kept already."""
        await self._bucket.put(checkpoint.stream, encode(checkpoint, ContentType.JSON))

    async def remove(self, stream: str) -> None:
        """Forget the checkpoint of `stream`."""
        await self._bucket.delete(stream)

    async def log_position(self) -> int:
        """Return the last message of the log that was taken, 0 for none."""
        entry = await self._bucket.get(LOG_POSITION)
        return 0 if entry is None else int(entry.value)

    async def set_log_position(self, seq: int) -> None:
        """Keep the last message of the log that was taken."""
        await self._bucket.put(LOG_POSITION, str(seq).encode())
