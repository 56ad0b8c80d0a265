"""Membership of this process in the group that shares the streams.

`joined` creates this process's key and renews it while the context is open. If renewal fails, the
body of the context is cancelled, and the service restarts its work: it joins again when the server
is reachable, with a new `Membership` under the same name. Leaving the context normally removes the
key. A watch on all keys sets `changed` when members come and go, and silent members are removed.

A process that was suspended (sleep of the machine, SIGSTOP) may continue for a moment before its
next renewal finds that it was considered dead. `check` prevents it from writing to streams that
others may own; its checkpoints also fail, since their revisions have changed. Windows and events
that it still publishes have ids that follow from the log, so the server discards the duplicates.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from cwt_ingest.liveness import Lost, PeerObservation, Timing, is_dead, still_mine
from cwt_ingest.member import Member, is_gone, read_member
from cwt_runtime.bus import Bucket
from cwt_runtime.bus.errors import BusError, RevisionConflictError
from cwt_runtime.process.lifecycle import RestartNeededError
from cwt_runtime.telemetry.logs import Action, Log

__all__ = ["MEMBER_KEYS", "Membership", "MembershipLostError", "key_of"]

#: Prefix of the members' keys in the bucket of checkpoints.
MEMBER_KEYS = "member.*"
#: Value of a key that is about to be removed; from then on its owner's renewals fail.
REMOVED = b""
#: Pause before retrying a failed request, seconds.
PAUSE_S = 0.1


class MembershipLostError(RestartNeededError):
    """Other processes have taken over this one's streams, or may do so soon."""


def key_of(instance: str) -> str:
    """Return the key of a process."""
    return f"member.{instance}"


def since_boot() -> float:
    """Return seconds on a monotonic clock that includes sleep, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass
class _Seen:
    member: Member
    revision: int
    since: float


class Membership:
    """The key of this process, and the members it can see.

    Parameters
    ----------
    bucket
        Where the keys are.
    me
        This process.
    log
        Logger that reports processes considered dead.
    timing
        Intervals and deadlines.
    clock
        Monotonic clock, seconds.
    """

    def __init__(
        self,
        bucket: Bucket,
        me: Member,
        log: Log,
        *,
        timing: Timing | None = None,
        clock: Callable[[], float] = since_boot,
    ) -> None:
        self._bucket = bucket
        self._me = me
        self._log = log
        self._timing = timing or Timing()
        self._clock = clock
        self._revision = 0
        self._is_joining = True
        self._renewed_at = 0.0
        self._others: dict[str, _Seen] = {}
        #: Set, and replaced by a new event, when a member joins or leaves.
        self.changed = anyio.Event()

    @property
    def instance(self) -> str:
        """The name of this process."""
        return self._me.instance

    @property
    def instances(self) -> tuple[str, ...]:
        """The names of all members."""
        return (self.instance, *(seen.member.instance for seen in self._others.values()))

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Be a member while the context is open.

        Raises
        ------
        MembershipLostError
            In an exception group; the body of the context was cancelled.
        """
        self._renewed_at = await self._write()
        self._is_joining = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep)
            tasks.start_soon(self._watch)
            tasks.start_soon(self._bury)
            yield
            tasks.cancel_scope.cancel()
        await self._leave()

    async def is_there(self, instance: str) -> bool:
        """Return whether a process of this name is a member."""
        entry = await self._bucket.get(key_of(instance))
        return entry is not None and entry.value != REMOVED

    def check(self) -> None:
        """Check that no other process can consider this one dead yet.

        Raises
        ------
        MembershipLostError
            The last successful renewal is too long ago.
        """
        if self._left_s() <= 0:
            limit = self._timing.give_up_s
            raise MembershipLostError(f"the server stored no heartbeat for {limit:g} s")

    def _left_s(self) -> float:
        return self._renewed_at + self._timing.give_up_s - self._clock()

    async def _keep(self) -> None:
        while True:
            await anyio.sleep(self._timing.renew_s)
            with anyio.move_on_after(self._left_s()):
                self._renewed_at = await self._write()
            self.check()

    async def _write(self) -> float:
        """Create or replace this process's key; return the time at which that was started."""
        key, value = key_of(self.instance), self._me.model_dump_json().encode()
        while True:
            began = self._clock()
            with anyio.move_on_after(self._timing.attempt_s):
                try:
                    self._revision = await self._replaced(key, value)
                    return began
                except BusError as error:
                    await _pause_if_transient(error)

    async def _replaced(self, key: str, value: bytes) -> int:
        while True:
            try:
                return await self._bucket.replace(key, value, self._revision)
            except RevisionConflictError:
                self._revision = await self._present_revision(key)

    async def _present_revision(self, key: str) -> int:
        entry = await self._bucket.get(key)
        found = read_member(entry.value) if entry else None
        present = entry.revision if entry else 0
        if self._is_joining and found is None:
            return present  # others removed the key of an earlier run of this process
        decision = still_mine(found, present, self._me)
        if isinstance(decision, Lost):
            raise MembershipLostError(decision.reason)
        return decision.revision

    async def _leave(self) -> None:
        with anyio.move_on_after(self._timing.give_up_s):
            try:
                await self._bucket.delete(key_of(self.instance))
            except BusError as error:
                self._log.warning(Action.BUS_ERROR, detail=f"others wait for the term: {error}")

    async def _watch(self) -> None:
        async with self._bucket.watch(MEMBER_KEYS) as changes:
            async for change in changes:
                member = read_member(change.value) if change.value else None
                if change.key == key_of(self.instance):
                    continue
                known = change.key in self._others
                if member is None:
                    self._others.pop(change.key, None)
                else:
                    self._others[change.key] = _Seen(member, change.revision, self._clock())
                if known != (member is not None):
                    self._tell()

    async def _bury(self) -> None:
        """Remove the keys of silent members."""
        while True:
            await anyio.sleep(self._timing.look_s)
            now = self._clock()
            for key, seen in tuple(self._others.items()):
                observation = PeerObservation(
                    member=seen.member,
                    revision=seen.revision,
                    unchanged_s=now - seen.since,
                    gone=is_gone(seen.member),
                )
                if is_dead(observation, self._timing):
                    await self._remove(key, observation)

    async def _remove(self, key: str, observation: PeerObservation) -> None:
        try:
            await self._bucket.replace(key, REMOVED, observation.revision)
            await self._bucket.delete(key)
        except RevisionConflictError:
            return  # it is alive, or another process removed it: the watch reports which
        except BusError as error:
            await _pause_if_transient(error)
            return
        self._log.warning(
            Action.MEMBER_GONE, member=observation.member.instance, host=observation.member.host
        )

    def _tell(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


async def _pause_if_transient(error: BusError) -> None:
    if not error.transient:
        raise error
    await anyio.sleep(PAUSE_S)
