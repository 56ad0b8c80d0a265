"""Ownership of a stream: the right to write its checkpoints, held by writing them.

A checkpoint names its owner, and each write replaces the previous revision by compare-and-swap. So
there is one owner at a time: a process takes a stream over by writing a checkpoint, after which the
writes of the previous owner fail. No clocks are compared, and no lock can be left behind.
"""

from __future__ import annotations

from dataclasses import dataclass

from cwt_ingest.membership import Membership
from cwt_runtime.bus import Bucket, Entry
from cwt_runtime.bus.errors import RevisionConflictError
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError
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
        present = _decoded(found)
        if found is None or present is None or present.owner != self._membership.instance:
            raise OwnershipLostError("the stream was deleted, or another ingest owns it now")
        return found.revision


class Ownership:
    """Claim streams.

    Parameters
    ----------
    bucket
        Bucket of the checkpoints.
    membership
        Membership of this process.
    """

    def __init__(self, bucket: Bucket, membership: Membership, log: Log) -> None:
        self._bucket = bucket
        self._membership = membership
        self._log = log

    async def claim(self, defined: Defined, log_last_seq: int) -> Claim | OwnedElsewhere:
        """Claim a stream without an owner; `log_last_seq` is the end of the signal log.

        Raises
        ------
        RevisionConflictError
            Another process claimed it first.
        """
        found = await self._bucket.get(checkpoint_key(defined.definition.name))
        present = _decoded(found)
        me, owner = self._membership.instance, present.owner if present else None
        if owner not in (None, me) and await self._membership.is_there(str(owner)):
            return OwnedElsewhere(str(owner))
        checkpoint = self._resumed(defined, present, log_last_seq).model_copy(update={"owner": me})
        self._membership.check()
        revision = await self._bucket.replace(
            checkpoint_key(checkpoint.stream),
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

    def _resumed(
        self, defined: Defined, present: StreamCheckpoint | None, last: int
    ) -> StreamCheckpoint:
        name = defined.definition.name
        if present is None or present.definition_revision != defined.revision:
            return _fresh(defined, defined.definition.start_seq or last + 1)
        if present.last_seq > last:
            detail = (
                f"the log ends at {last}, before the checkpoint at {present.last_seq}: it was "
                "restored or lost its end; the analysis restarts with the next chunk"
            )
            self._log.warning(Action.STREAM_RESUMED, stream=name, detail=detail)
            return _fresh(defined, last + 1)
        return present


def _fresh(defined: Defined, start_seq: int) -> StreamCheckpoint:
    return StreamCheckpoint(
        stream=defined.definition.name,
        definition_revision=defined.revision,
        replay_from_seq=start_seq,
        last_seq=start_seq - 1,
    )


def _decoded(entry: Entry | None) -> StreamCheckpoint | None:
    """Return the checkpoint, or None if there is none or it cannot be read."""
    try:
        return decode(StreamCheckpoint, entry.value, trusted=True) if entry else None
    except ContractError:
        return None
