"""The streams that are defined, kept in a bucket, each with the processor that follows it."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from schemas import storage
from schemas.checkpoint import StreamCheckpoint
from schemas.codec import ContentType, decode, encode
from schemas.errors import Conflict, ContractError, NotFound
from schemas.stream import (
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamStatus,
)
from services.ingest.checkpoints import Checkpoints
from services.ingest.lanes import plan_lanes
from services.ingest.processor import StreamProcessor
from services.runtime.bus import Bucket
from services.runtime.bus import Log as BusLog
from services.runtime.errors import RevisionConflictError
from services.runtime.logs import Action, Log

__all__ = ["Definitions", "WindowLimits"]


@dataclass(frozen=True, kw_only=True)
class WindowLimits:
    """What the server and its settings allow a window to be."""

    max_message_bytes: int
    log_max_age_s: float


class Definitions:
    """Answers ``cwt.stream.*`` and knows the processor of every defined stream.

    Attributes
    ----------
    lock
        Held while the set of streams changes; the follower holds it while it takes a chunk, so that
        no checkpoint is written between a chunk's state and its windows.
    """

    def __init__(
        self,
        bucket: Bucket,
        checkpoints: Checkpoints,
        bus_log: BusLog,
        log: Log,
        *,
        limits: WindowLimits,
    ) -> None:
        self._bucket = bucket
        self._limits = limits
        self._checkpoints = checkpoints
        self._bus_log = bus_log
        self._log = log
        self._processors: dict[str, StreamProcessor] = {}
        self.lock = anyio.Lock()

    async def load(self) -> None:
        """Take up every kept definition where its checkpoint says.

        One that cannot be used (any more) is told and left alone; the others go on.
        """
        for name in await self._bucket.keys():
            entry = await self._bucket.get(name)
            if entry is None:
                continue
            try:
                await self._resume(decode(StreamDefinition, entry.value))
            except ContractError as error:
                self._log.error(Action.STREAM_UNUSABLE, stream=name, detail=error.message)

    def processor(self, stream: str) -> StreamProcessor | None:
        """Return the processor of `stream`, None if no such stream is defined."""
        return self._processors.get(stream)

    def processors(self) -> tuple[StreamProcessor, ...]:
        """Return the processors of all defined streams."""
        return tuple(self._processors.values())

    async def put(self, definition: StreamDefinition) -> StreamStatus:
        """Define a stream, or define it anew: a changed definition starts its analyses afresh."""
        # Refused before anything is kept.
        plan_lanes(
            definition,
            max_message_bytes=self._limits.max_message_bytes,
            log_max_age_s=self._limits.log_max_age_s,
        )
        async with self.lock:
            present = self._processors.get(definition.name)
            if present is not None and present.definition == definition:
                return present.status()
            entry = await self._bucket.get(definition.name)
            checkpoint = await self._fresh_checkpoint(definition)
            await self._checkpoints.write(checkpoint)
            await self._keep(definition, entry.revision if entry else 0)
            if present is not None:
                await self._checkpoints.remove(present.definition)
            processor = StreamProcessor(definition, checkpoint)
            self._processors[definition.name] = processor
        self._log.info(Action.STREAM_DEFINED, stream=definition.name, from_seq=checkpoint.last_seq)
        return processor.status()

    async def get(self, request: StreamGet) -> StreamStatus:
        """Return one stream and how far it has come."""
        return self._present(request.name).status()

    async def list(self, request: StreamList) -> StreamListing:
        """Return all streams."""
        del request
        return StreamListing(
            streams=tuple(self._processors[name].status() for name in sorted(self._processors))
        )

    async def delete(self, request: StreamDelete) -> StreamStatus:
        """Forget a stream; its signals and results stay as long as the limits say."""
        async with self.lock:
            processor = self._present(request.name)
            await self._bucket.delete(request.name)
            await self._checkpoints.remove(processor.definition)
            del self._processors[request.name]
        self._log.info(Action.STREAM_DELETED, stream=request.name)
        return processor.status()

    def _present(self, name: str) -> StreamProcessor:
        processor = self._processors.get(name)
        if processor is None:
            raise NotFound(f"no stream is called {name}; define it with cwt.stream.put")
        return processor

    async def _keep(self, definition: StreamDefinition, revision: int) -> None:
        try:
            await self._bucket.replace(
                definition.name, encode(definition, ContentType.JSON), revision
            )
        except RevisionConflictError:
            raise Conflict(
                f"stream {definition.name} was defined by somebody else just now: read it with "
                "cwt.stream.get and try again"
            ) from None

    async def _resume(self, definition: StreamDefinition) -> None:
        checkpoint = await self._checkpoints.read(definition)
        last = await self._bus_log.last_seq(storage.SIGNALS)
        if checkpoint is None:
            detail = "there is no checkpoint: the analysis starts afresh with the next chunk"
        elif checkpoint.last_seq > last:
            detail = (
                f"the log ends at {last}, before the checkpoint at {checkpoint.last_seq}: it was "
                "restored or lost its end; the analysis starts afresh with the next chunk"
            )
            checkpoint = None
        else:
            detail = ""
        if checkpoint is None:
            checkpoint = await self._fresh_checkpoint(definition)
            await self._checkpoints.write(checkpoint)
            self._log.warning(Action.STREAM_RESUMED, stream=definition.name, detail=detail)
        self._processors[definition.name] = StreamProcessor(definition, checkpoint)
        self._log.info(
            Action.STREAM_RESUMED,
            stream=definition.name,
            replay_from_seq=checkpoint.replay_from_seq,
            last_seq=checkpoint.last_seq,
        )

    async def _fresh_checkpoint(self, definition: StreamDefinition) -> StreamCheckpoint:
        """Return a checkpoint that begins with the next chunk to come."""
        last = await self._bus_log.last_seq(storage.SIGNALS)
        return StreamCheckpoint(
            stream=definition.name,
            definition_hash=definition.definition_hash(),
            replay_from_seq=last + 1,
            last_seq=last,
        )
