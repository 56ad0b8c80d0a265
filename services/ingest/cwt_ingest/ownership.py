"""Ownership of a stream: the right to write its checkpoints, held by writing them.

A checkpoint names its owner, and each write replaces the previous revision by compare-and-swap. So
there is one owner at a time: a process takes a stream over by writing a checkpoint, after which the
writes of the previous owner fail. No clocks are compared, and no lock can be left behind.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from cwt_ingest.membership import Membership
from cwt_runtime.bus import Bucket, DurableLog, Entry
from cwt_runtime.bus.errors import RevisionConflictError
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas import storage, subjects
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import Conflict, ContractError
from cwt_schemas.stream import StreamDefinition

__all__ = [
    "Claim",
    "Defined",
    "OwnedElsewhere",
    "Ownership",
    "OwnershipLostError",
    "checkpoint_key",
]


class OwnershipLostError(Exception):
    """Another process owns the stream now, or it was deleted."""


def checkpoint_key(stream: str) -> str:
    """Return the key of a stream's checkpoint."""
    return f"stream.{stream}"


@dataclass(frozen=True, kw_only=True)
class Defined:
    """A definition and its revision."""

    definition: StreamDefinition
    revision: int


@dataclass(frozen=True)
class OwnedElsewhere:
    """Another process owns the stream at present."""

    owner: str


class Claim:
    """A stream that this process owns."""

    def __init__(
        self,
        bucket: Bucket,
        membership: Membership,
        checkpoint: StreamCheckpoint,
        revision: int,
        *,
        after_crash: bool = False,
    ) -> None:
        self._bucket = bucket
        self._membership = membership
        #: The newest stored checkpoint.
        self.checkpoint = checkpoint
        self._revision = revision
        #: Whether the previous owner did not release the stream.
        self.after_crash = after_crash

    async def write(self, checkpoint: StreamCheckpoint) -> None:
        """Store a checkpoint; everything it covers must be stored already.

        Raises
        ------
        OwnershipLostError
            This process no longer owns the stream.
        MembershipLostError
            Others may consider this process dead.
        """
        await self._write(checkpoint, self._membership.instance)

    async def let_go(self) -> None:
        """Release the stream at its newest checkpoint."""
        await self._write(self.checkpoint, None)

    async def _write(self, checkpoint: StreamCheckpoint, owner: str | None) -> None:
        self._membership.check()
        mine = checkpoint.model_copy(update={"owner": owner})
        key, value = checkpoint_key(checkpoint.stream), encode(mine, ContentType.JSON)
        try:
            self._revision = await self._bucket.replace(key, value, self._revision)
        except RevisionConflictError:
            self._revision = self._still_mine(await self._bucket.get(key))
            self._revision = await self._bucket.replace(key, value, self._revision)
        self.checkpoint = mine

    def _still_mine(self, found: Entry | None) -> int:
        """Return the revision of a checkpoint whose acknowledgement was lost."""
        try:
            present = _decoded(self.checkpoint.stream, found)
        except ContractError:
            present = None  # of another version, which has taken over
        if found is None or present is None or present.owner != self._membership.instance:
            raise OwnershipLostError("the stream was deleted, or another ingest owns it now")
        return found.revision


class Ownership:
    """Claim streams.

    Parameters
    ----------
    bus_log
        The log of signals.
    bucket
        Bucket of the checkpoints.
    membership
        Membership of this process.
    """

    def __init__(
        self, bus_log: DurableLog, bucket: Bucket, membership: Membership, log: Log
    ) -> None:
        self._bus_log = bus_log
        self._bucket = bucket
        self._membership = membership
        self._log = log

    async def claim(self, defined: Defined) -> Claim | OwnedElsewhere:
        """Claim a stream without an owner.

        Raises
        ------
        RevisionConflictError
            Another process claimed it first.
        ContractError
            The checkpoint cannot be read.
        """
        name, me = defined.definition.name, self._membership.instance
        found = await self._bucket.get(checkpoint_key(name))
        present = _decoded(name, found)
        owner = present.owner if present else None
        if owner not in (None, me) and await self._membership.is_there(str(owner)):
            return OwnedElsewhere(str(owner))
        checkpoint = (await self._resumed(defined, present)).model_copy(update={"owner": me})
        self._membership.check()
        revision = await self._bucket.replace(
            checkpoint_key(name),
            encode(checkpoint, ContentType.JSON),
            found.revision if found else 0,
        )
        return Claim(
            self._bucket,
            self._membership,
            checkpoint,
            revision,
            after_crash=owner not in (None, me),
        )

    async def release(self, stream: str) -> None:
        """Release a stream if this process owns it without following it.

        Raises
        ------
        MembershipLostError
            Others may consider this process dead.
        """
        found = await self._bucket.get(checkpoint_key(stream))
        try:
            present = _decoded(stream, found)
        except ContractError:
            return  # of another version, which has taken over
        if found is None or present is None or present.owner != self._membership.instance:
            return
        self._membership.check()
        free = present.model_copy(update={"owner": None})
        with suppress(RevisionConflictError):  # another process has taken over
            key = checkpoint_key(stream)
            await self._bucket.replace(key, encode(free, ContentType.JSON), found.revision)

    async def _resumed(
        self, defined: Defined, present: StreamCheckpoint | None
    ) -> StreamCheckpoint:
        last = await self._bus_log.last_seq(storage.SIGNALS)
        if present is None or present.definition_revision != defined.revision:
            return _fresh(defined, defined.definition.start_seq or last + 1)
        next_seq = await self._first_after(present, last)
        if next_seq > present.last_seq:
            return present
        detail = (
            f"the signal log was restored or lost its end: it continues at {next_seq}, before the "
            f"checkpoint at {present.last_seq}; samples that it lost are missing"
        )
        self._log.warning(Action.STREAM_RESUMED, stream=present.stream, detail=detail)
        begun = present.begun if present.begun and present.begun.seq < next_seq else None
        return present.model_copy(
            update={
                "last_seq": next_seq - 1,
                "replay_from_seq": min(present.replay_from_seq, next_seq),
                "released_after": tuple(seq for seq in present.released_after if seq < next_seq),
                "begun": begun,
                "unfinished": tuple(seq for seq in present.unfinished if seq < next_seq),
            }
        )

    async def _first_after(self, present: StreamCheckpoint, last: int) -> int:
        """Return the sequence number of the stream's first chunk after the checkpoint, by time.

        If there is none, return the next one of the log, after `last`.
        """
        if not present.last_stored_ns:
            return last + 1
        async with self._bus_log.read(
            storage.SIGNALS,
            (subjects.signal(present.stream),),
            start_time_ns=present.last_stored_ns + 1,
            headers_only=True,
        ) as newer:
            stored = await anext(newer, None)
            return last + 1 if stored is None else stored.seq


def _fresh(defined: Defined, start_seq: int) -> StreamCheckpoint:
    return StreamCheckpoint(
        stream=defined.definition.name,
        definition_revision=defined.revision,
        replay_from_seq=start_seq,
        last_seq=start_seq - 1,
    )


def _decoded(name: str, entry: Entry | None) -> StreamCheckpoint | None:
    """Return the checkpoint of stream `name`, or None if there is none.

    Raises
    ------
    ContractError
        It cannot be read.
    """
    try:
        return decode(StreamCheckpoint, entry.value, trusted=True) if entry else None
    except ContractError as error:
        raise Conflict(
            f"cannot read the checkpoint: {error.message}; start an ingest of the version that "
            f"wrote it, or delete stream {name} and define it again, with start_seq if stored "
            "chunks are to be analysed"
        ) from error
