"""The defined streams, and the replies to ``cwt.stream.*``.

Replies come from the stored definitions and checkpoints, so any ingest process can answer for every
stream, also for those that another process follows.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cwt_ingest.estimates import check_estimates
from cwt_ingest.lanes import Lane, plan_lanes
from cwt_ingest.ownership import Defined, checkpoint_key
from cwt_ingest.result_rate import RESULTS_BYTES_PER_S, check_result_rate
from cwt_runtime.bus import Bucket, DurableLog
from cwt_runtime.bus.errors import RevisionConflictError
from cwt_runtime.rpc.audit import AuditLog
from cwt_runtime.rpc.context import request_context
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage
from cwt_schemas.audit import AuditAction
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import Conflict, ContractError, NotFound, Overloaded, Unprocessable
from cwt_schemas.stream import (
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamProgress,
    StreamStatus,
)

__all__ = ["Catalogue", "WindowLimits", "read_definition"]


@dataclass(frozen=True, kw_only=True)
class WindowLimits:
    """Limits on windows, from the server and its settings."""

    max_message_bytes: int
    log_max_age_s: float
    #: Largest size of the results of one stream per second of signal.
    results_bytes_per_s: int = RESULTS_BYTES_PER_S


async def read_definition(bucket: Bucket, name: str) -> Defined | None:
    """Return the definition of a stream, or None if the stream is not defined.

    Raises
    ------
    ContractError
        The stored definition cannot be read.
    """
    entry = await bucket.get(name)
    if entry is None:
        return None
    definition = decode(StreamDefinition, entry.value, trusted=True)
    return Defined(definition=definition, revision=entry.revision)


class Catalogue:
    """Store, return and delete stream definitions.

    Parameters
    ----------
    definitions, checkpoints
        The buckets.
    bus_log
        The signal log.
    max_streams
        Number of streams that may be defined.
    progress
        Return the progress of a stream that this process follows, or None; the progress of other
        streams is in their checkpoints.
    accept
        Have the log accept chunks of a stream; called before its definition is answered.
    """

    def __init__(
        self,
        definitions: Bucket,
        checkpoints: Bucket,
        bus_log: DurableLog,
        log: Log,
        *,
        limits: WindowLimits,
        max_streams: int,
        progress: Callable[[Defined], StreamProgress | None] = lambda _: None,
        accept: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._definitions = definitions
        self._checkpoints = checkpoints
        self._bus_log = bus_log
        self._audit = AuditLog(bus_log)
        self._log = log
        self._limits = limits
        self._max_streams = max_streams
        self._progress = progress
        self._accept = accept

    async def put(self, definition: StreamDefinition) -> StreamStatus:
        """Define or redefine a stream; a changed definition restarts its analyses."""
        # Refuse before anything is stored.
        self._plan(definition)
        check_estimates(definition, max_message_bytes=self._limits.max_message_bytes)
        rate = check_result_rate(definition, self._plan, self._limits.results_bytes_per_s)
        status = await self._status(await self._stored(definition))
        return status.model_copy(update={"results_bytes_per_s": math.ceil(rate)})

    def _plan(self, definition: StreamDefinition) -> tuple[Lane, ...]:
        return plan_lanes(
            definition,
            max_message_bytes=self._limits.max_message_bytes,
            log_max_age_s=self._limits.log_max_age_s,
        )

    async def _stored(self, definition: StreamDefinition) -> Defined:
        """Store a definition unless it is stored already."""
        entry = await self._definitions.get(definition.name)
        present = _readable(entry.value) if entry else None
        if entry is not None and present is not None and present.same_as(definition):
            return Defined(definition=present, revision=entry.revision)
        caller = request_context().caller
        if entry is None:
            await self._check_count()
        else:
            owner = present.defined_by if present else None
            caller.check_owner(owner, f"stream {definition.name}")
        definition = definition.model_copy(update={"defined_by": caller.user})
        last = await self._bus_log.last_seq(storage.SIGNALS)
        if definition.start_seq is None:
            definition = definition.model_copy(update={"start_seq": last + 1})
        elif definition.start_seq > last + 1:
            problem = f"{definition.start_seq}, and the signal log has {last} messages so far"
            raise Unprocessable.of({"start_seq": problem})
        await self._audit.record(AuditAction.STREAM_DEFINED, "stream", definition.name)
        revision = await self._keep(definition, entry.revision if entry else 0)
        if self._accept is not None:
            await self._accept(definition.name)
        self._log.info(
            Action.STREAM_DEFINED,
            stream=definition.name,
            start_seq=definition.start_seq,
            user=caller.user,
        )
        return Defined(definition=definition, revision=revision)

    async def get(self, request: StreamGet) -> StreamStatus:
        """Return the status of one stream."""
        return await self._status(await self._present(request.name))

    async def list(self, request: StreamList) -> StreamListing:
        """Return the status of all streams."""
        del request
        found = []
        for name in await self._definitions.keys():
            try:
                defined = await read_definition(self._definitions, name)
            except ContractError:
                continue  # reported in the log of the process that follows it
            if defined is not None:
                found.append(await self._status(defined))
        return StreamListing(streams=tuple(found))

    async def delete(self, request: StreamDelete) -> StreamStatus:
        """Delete a definition; signals and results expire by the limits of their streams."""
        present, caller = await self._present(request.name), request_context().caller
        caller.check_owner(present.definition.defined_by, f"stream {request.name}")
        status = await self._status(present)
        await self._audit.record(AuditAction.STREAM_DELETED, "stream", request.name)
        await self._definitions.delete(request.name)
        # The owner of the stream cannot write a checkpoint any more.
        await self._checkpoints.delete(checkpoint_key(request.name))
        self._log.info(Action.STREAM_DELETED, stream=request.name, user=caller.user)
        return status

    async def _present(self, name: str) -> Defined:
        defined = await read_definition(self._definitions, name)
        if defined is None:
            raise NotFound(f"stream {name} does not exist")
        return defined

    async def _status(self, defined: Defined) -> StreamStatus:
        entry = await self._checkpoints.get(checkpoint_key(defined.definition.name))
        kept, owner = StreamProgress(), None
        try:
            checkpoint = decode(StreamCheckpoint, entry.value, trusted=True) if entry else None
        except ContractError:
            checkpoint = None
        if checkpoint is not None and checkpoint.definition_revision == defined.revision:
            kept, owner = checkpoint.progress, checkpoint.owner
        progress = self._progress(defined) or kept
        fields = {name: getattr(progress, name) for name in StreamProgress.model_fields}
        return StreamStatus(definition=defined.definition, owner=owner, **fields)

    async def _check_count(self) -> None:
        count = len(await self._definitions.keys())
        if count >= self._max_streams:
            raise Overloaded(
                f"{count} streams are defined, the limit is {self._max_streams}: delete streams "
                "that are no longer used, or raise CWT_STREAMS_MAX",
                {"count": count, "limit": self._max_streams},
            )

    async def _keep(self, definition: StreamDefinition, revision: int) -> int:
        try:
            return await self._definitions.replace(
                definition.name, encode(definition, ContentType.JSON), revision
            )
        except RevisionConflictError:
            raise Conflict(
                f"stream {definition.name} was just changed by another client: read it with "
                "cwt.stream.get and retry"
            ) from None


def _readable(value: bytes) -> StreamDefinition | None:
    try:
        return decode(StreamDefinition, value, trusted=True)
    except ContractError:
        return None
