"""Being one of the processes that share the streams, and knowing the others.

Theory of operation. `joined` makes this process's key and renews it while the context is open; if
that fails, what runs in the context is cancelled, and the service starts its work again: it joins
as soon as the server is there, with a new `Membership` and under the same name. Leaving the context
in order removes the key. Meanwhile a watch on all keys tells who comes and goes, and `changed` is
set then; those of whom nothing is heard are removed.

A process that was halted for a while (its machine slept, somebody sent SIGSTOP) may go on for a
moment before its next renewal tells it that it was taken for dead. `check` keeps it from writing
what is no longer its own; its checkpoints fail besides, for their revisions have changed. Windows
and events that it still publishes have ids that follow from the log, and the server drops the
second one of each.
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

#: In the bucket of the checkpoints, one for each process.
MEMBER_KEYS = "member.*"
#: The value of a key that is about to be removed: its owner's renewals fail from then on.
REMOVED = b""
#: Pause before the server is asked again for what just failed, seconds.
PAUSE_S = 0.1


class MembershipLostError(RestartNeededError):
    """Other processes go on with this one's streams, or may do so soon; the message says why."""


def key_of(instance: str) -> str:
    """Return the key of a process."""
    return f"member.{instance}"


def since_boot() -> float:
    """Return seconds on a clock that, where there is one, goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass
class _Seen:
    member: Member
    revision: int
    since: float


class Membership:
    """Keeps the key of a process, and knows who else is there.

    Parameters
    ----------
    bucket
        Where the keys are.
    me
        This process.
    log
        Where it is said that another one is taken for dead.
    timing
        How often, and for how long.
    clock
        Seconds since any moment.
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
        #: Set, and replaced by a new one, when somebody came or went.
        self.changed = anyio.Event()

    @property
    def instance(self) -> str:
        """The name of this process."""
        return self._me.instance

    @property
    def instances(self) -> tuple[str, ...]:
        """The names of all that are there."""
        return (self.instance, *(seen.member.instance for seen in self._others.values()))

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Be there while the context is open.

        Raises
        ------
        MembershipLostError
            In an exception group; what ran in the context was cancelled.
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
        """Ask whether a process of that name has not left, and was not taken for dead."""
        entry = await self._bucket.get(key_of(instance))
        return entry is not None and entry.value != REMOVED

    def check(self) -> None:
        """Make sure that nobody else can have taken this process for dead yet.

        Raises
        ------
        MembershipLostError
            It was not heard of for too long.
        """
        if self._left_s() <= 0:
            limit = self._timing.give_up_s
            raise MembershipLostError(f"the server kept no sign of life for {limit:g} s")

    def _left_s(self) -> float:
        return self._renewed_at + self._timing.give_up_s - self._clock()

    async def _keep(self) -> None:
        while True:
            await anyio.sleep(self._timing.renew_s)
            with anyio.move_on_after(self._left_s()):
                self._renewed_at = await self._write()
            self.check()

    async def _write(self) -> float:
        """Make or replace this process's key; return when that was begun."""
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
            return present  # others removed it in an earlier life of this process
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
        """Remove the keys of those of whom nothing is heard."""
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
            return  # it lives, or another one was faster: the watch tells
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
