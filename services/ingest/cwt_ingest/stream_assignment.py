"""Follow the streams assigned to this process, and release those that no longer are.

Which process a stream is assigned to follows from the definitions and from the processes that are
alive (`liveness.assigned_instance`), so the assignment is computed again whenever one of the two
changes. A newly assigned stream is claimed as soon as its owner releases it; a stream that is
reassigned, or whose definition changes, is released between two chunks.

A checkpoint may still name this process as the owner of a stream that it does not follow, after it
lost the server and rejoined, or after a release failed. The process that the stream is assigned to
waits for the release, so such a stream is released as soon as the server is reachable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup

from cwt_ingest.catalogue import read_definition
from cwt_ingest.follower import Follower
from cwt_ingest.liveness import assigned_instance
from cwt_ingest.membership import Membership
from cwt_ingest.ownership import Claim, Defined, Ownership, OwnershipLostError
from cwt_ingest.processor import StreamProcessor
from cwt_runtime.bus import Bucket
from cwt_runtime.bus.errors import BusError, RevisionConflictError
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas.errors import ContractError
from cwt_schemas.limits import MAX_MESSAGE_BYTES
from cwt_schemas.stream import StreamProgress

__all__ = ["StreamAssignment"]

#: Pause before trying again to claim a stream that another process owns.
LOOK_S = 0.25


@dataclass
class _Held:
    """A stream that this process follows, waits for, or releases."""

    revision: int
    #: Whether it is assigned to this process, which releases it otherwise.
    mine: bool
    stop: Stop = field(default_factory=Stop)
    follower: Follower | None = None


class StreamAssignment:
    """The streams that this process follows.

    Parameters
    ----------
    definitions
        The bucket of definitions.
    membership, ownership
        Members of the group, and owners of the streams.
    follow
        Create the follower of a claimed stream.
    max_message_bytes
        Maximum size of a message.
    """

    def __init__(
        self,
        definitions: Bucket,
        membership: Membership,
        ownership: Ownership,
        log: Log,
        *,
        follow: Callable[[Claim, StreamProcessor], Follower],
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._definitions = definitions
        self._membership = membership
        self._ownership = ownership
        self._log = log
        self._follow = follow
        self._max_message_bytes = max_message_bytes
        #: Revision of each definition, by stream.
        self._defined: dict[str, int] = {}
        #: Revisions whose definition cannot be used.
        self._unusable: dict[str, int] = {}
        self._held: dict[str, _Held] = {}
        #: Streams that this process does not own, unless it has followed them since.
        self._released: set[str] = set()
        self._defined_anew = anyio.Event()

    @property
    def streams(self) -> frozenset[str]:
        """The names of all defined streams, also of those that other processes follow."""
        return frozenset(self._defined)

    def progress(self, defined: Defined) -> StreamProgress | None:
        """Return the progress of a stream, or None if this process does not follow it."""
        held = self._held.get(defined.definition.name)
        if held is None or held.follower is None or held.revision != defined.revision:
            return None
        return held.follower.progress()

    async def lag(self) -> int:
        """Return the number of waiting chunks of this process's streams."""
        followers = (held.follower for held in self._held.values())
        return sum(each.progress().lag.chunks for each in followers if each is not None)

    async def run(self, stop: Stop) -> None:
        """Follow the assigned streams until asked to stop."""
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._watch)
            async with anyio.create_task_group() as tasks:
                while not stop.is_set():
                    changes = self._defined_anew, self._membership.changed
                    self._share_out(tasks)
                    await stop.run_until_stopped(partial(_any_of, changes))
                for held in self._held.values():
                    held.stop.set()
            watching.cancel_scope.cancel()

    async def _watch(self) -> None:
        async with self._definitions.watch() as changes:
            async for change in changes:
                if change.value is None:
                    self._defined.pop(change.key, None)
                    self._released.discard(change.key)
                else:
                    self._defined[change.key] = change.revision
                self._look_again()

    def _share_out(self, tasks: TaskGroup) -> None:
        instances, me = self._membership.instances, self._membership.instance
        for name, held in self._held.items():
            mine = assigned_instance(name, instances) == me
            if self._defined.get(name) != held.revision or mine != held.mine:
                held.stop.set()
        for name, revision in self._defined.items():
            if name in self._held or self._unusable.get(name) == revision:
                continue
            mine = assigned_instance(name, instances) == me
            if mine or name not in self._released:
                held = self._held[name] = _Held(revision, mine)
                tasks.start_soon(self._hold if mine else self._release, name, held)

    async def _hold(self, name: str, held: _Held) -> None:
        self._released.discard(name)
        try:
            claimed = await self._claimed(name, held)
            if claimed is not None:
                await self._run(*claimed, held)
        finally:
            del self._held[name]
            self._look_again()  # it may be assigned to this process again

    async def _release(self, name: str, held: _Held) -> None:
        """Release a stream that is assigned to another process, if this one owns it."""
        try:
            while not held.stop.is_set():
                try:
                    await self._ownership.release(name)
                except BusError as error:
                    if not error.transient:
                        raise
                else:
                    self._released.add(name)
                    return
                await held.stop.run_until_stopped(lambda: anyio.sleep(LOOK_S))
        finally:
            del self._held[name]
            if held.stop.is_set():
                self._look_again()

    def _look_again(self) -> None:
        self._defined_anew.set()
        self._defined_anew = anyio.Event()

    async def _claimed(self, name: str, held: _Held) -> tuple[Claim, Defined] | None:
        """Wait for ownership of the stream; return None if it is reassigned meanwhile."""
        told = ""
        while not held.stop.is_set():
            try:
                defined = await read_definition(self._definitions, name)
                if defined is None and self._defined.get(name) == held.revision:
                    del self._defined[name]  # purged, so that the watch does not report it
                if defined is None or defined.revision != held.revision:
                    return None
                found = await self._ownership.claim(defined)
            except ContractError as error:
                self._log.error(Action.STREAM_UNUSABLE, stream=name, detail=error.message)
                self._unusable[name] = held.revision
                return None
            except RevisionConflictError:
                continue
            except BusError as error:
                if not error.transient:
                    raise
            else:
                if isinstance(found, Claim):
                    return found, defined
                if found.owner != told:
                    told = found.owner
                    self._log.info(Action.STREAM_AWAITED, stream=name, owner=told)
            await held.stop.run_until_stopped(lambda: anyio.sleep(LOOK_S))
        return None

    async def _run(self, claim: Claim, defined: Defined, held: _Held) -> None:
        name, checkpoint = defined.definition.name, claim.checkpoint
        try:
            processor = StreamProcessor(
                defined.definition, checkpoint, max_message_bytes=self._max_message_bytes
            )
        except ContractError as error:
            self._log.error(Action.STREAM_UNUSABLE, stream=name, detail=error.message)
            self._unusable[name] = held.revision
            return
        self._log.info(
            Action.STREAM_RESUMED,
            stream=name,
            replay_from_seq=checkpoint.replay_from_seq,
            last_seq=checkpoint.last_seq,
        )
        held.follower = self._follow(claim, processor)
        try:
            await held.follower.run(held.stop)
        except* OwnershipLostError as lost:
            reasons = "; ".join(str(reason) for reason in lost.exceptions)
            self._log.warning(Action.STREAM_LOST, stream=name, detail=reasons)


async def _any_of(events: tuple[anyio.Event, ...]) -> None:
    async with anyio.create_task_group() as waits:
        for event in events:
            waits.start_soon(_then_cancel, event, waits)


async def _then_cancel(event: anyio.Event, waits: TaskGroup) -> None:
    await event.wait()
    waits.cancel_scope.cancel()
