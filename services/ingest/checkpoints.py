"""Checkpoints of streams, and of the log as a whole, in a bucket.

A checkpoint is kept under the stream's name and its definition's hash: while a stream is being
defined anew, the old definition's checkpoint stays what it is until the new definition is kept.
"""

from __future__ import annotations

from schemas.checkpoint import StreamCheckpoint
from schemas.codec import ContentType, decode, encode
from schemas.stream import StreamDefinition
from services.runtime.bus import Bucket

__all__ = ["Checkpoints"]

#: How far the log was read, whatever its streams.
LOG_POSITION = "log.position"


class Checkpoints:
    """What a restarted ingest begins with."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def read(self, definition: StreamDefinition) -> StreamCheckpoint | None:
        """Return the checkpoint of a stream as defined, if there is one.

        Raises
        ------
        ContractError
            There is one that cannot be read.
        """
        entry = await self._bucket.get(_key(definition.name, definition.definition_hash()))
        return None if entry is None else decode(StreamCheckpoint, entry.value)

    async def write(self, checkpoint: StreamCheckpoint) -> None:
        """Keep a checkpoint; everything it stands for has to be kept already."""
        key = _key(checkpoint.stream, checkpoint.definition_hash)
        await self._bucket.put(key, encode(checkpoint, ContentType.JSON))

    async def remove(self, definition: StreamDefinition) -> None:
        """Forget the checkpoint of a stream as defined."""
        await self._bucket.delete(_key(definition.name, definition.definition_hash()))

    async def log_position(self) -> int:
        """Return the last message of the log that was taken, 0 for none."""
        entry = await self._bucket.get(LOG_POSITION)
        return 0 if entry is None else int(entry.value)

    async def set_log_position(self, seq: int) -> None:
        """Keep the last message of the log that was taken."""
        await self._bucket.put(LOG_POSITION, str(seq).encode())


def _key(stream: str, definition_hash: str) -> str:
    # No stream has a dot in its name, so this is no other key of the bucket.
    return f"stream.{stream}.{definition_hash}"
