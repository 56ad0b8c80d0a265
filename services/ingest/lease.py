"""The lease of ingest: of any number of processes one works, and the others stand by.

Theory of operation. `acquire` looks at the key until `claim.as_standby` says that it may be taken.
While the context `kept` is open, a task renews it; if that fails, what runs in the context is
cancelled, and the service fails: a supervisor starts it again, as a standby. Leaving the context in
order gives the lease back, and a standby goes on at its next look.

A holder that was halted for a while (its machine slept, somebody sent SIGSTOP) may go on for a
moment before its next renewal tells it that the lease is lost. `guarded` keeps it from overwriting
what its successor wrote meanwhile. Windows and events that it still publishes have ids that follow
from the log, and the server drops the second one of each.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio

from services.ingest.claim import Lost, Sight, Take, Timing, Wait, as_holder, as_standby
from services.ingest.holder import Holder, is_gone, read_holder
from services.runtime.bus import Bucket, Change, Entry
from services.runtime.errors import BusError, RevisionConflictError
from services.runtime.logs import Action, Log
from services.runtime.stopping import Stop

__all__ = ["KEY", "Lease", "LeaseLostError"]

#: In the bucket of the checkpoints; no stream can have a dot in its name.
KEY = "ingest.lease"
#: The value of a lease that was given back. Deleting it could hit the next holder's.
GIVEN_BACK = b""
#: Pause before the server is asked again for what just failed, seconds.
PAUSE_S = 0.1


class LeaseLostError(Exception):
    """Another process follows the log from here on, or may do so soon; the message says why."""


def since_boot() -> float:
    """Return seconds on a clock that, where there is one, goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """The claim of one process.

    Parameters
    ----------
    bucket
        Where the lease is.
    me
        This process.
    log
        Where it is said that the process stands by.
    timing
        How often, and for how long.
    clock
        Seconds since any moment.
    """

    def __init__(
        self,
        bucket: Bucket,
        me: Holder,
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
        self._renewed_at = 0.0
        self._seen = 0
        self._seen_since = 0.0

    async def acquire(self, stop: Stop) -> bool:
        """Wait for the lease and take it; return False if stopping was asked for before."""
        told: Holder | None = None
        while (decision := await stop.unless_stopped(self._standby)) is not None:
            if isinstance(decision, Take):
                if await self._take(decision):
                    return True
                continue
            if decision.holder != told:
                told = decision.holder
                self._log.info(Action.STANDBY, holder=told.instance, host=told.host)
            await stop.unless_stopped(lambda: anyio.sleep(self._timing.look_s))
        return False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the lease while the context is open; leaving it in order gives it back.

        Raises
        ------
        LeaseLostError
            In an exception group; what ran in the context was cancelled.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep)
            yield
            tasks.cancel_scope.cancel()
        await self._give_back()

    def guarded(self, bucket: Bucket) -> Bucket:
        """Return `bucket` so that nothing is changed in it once the lease may be another's."""
        return GuardedBucket(bucket, self)

    def check(self) -> None:
        """Make sure that nobody else can have taken the lease yet.

        Raises
        ------
        LeaseLostError
            It was not renewed for too long.
        """
        if self._left_s() <= 0:
            raise LeaseLostError(f"the lease was not renewed for {self._timing.give_up_s:g} s")

    def _left_s(self) -> float:
        return self._renewed_at + self._timing.give_up_s - self._clock()

    async def _standby(self) -> Take | Wait:
        while True:
            try:
                return as_standby(await self._look(), self._me, self._timing)
            except BusError as error:
                await _pause_if_transient(error)

    async def _look(self) -> Sight:
        entry = await self._bucket.get(KEY)
        now = self._clock()
        revision = entry.revision if entry else 0
        if revision != self._seen:
            self._seen, self._seen_since = revision, now
        holder = read_holder(entry.value) if entry else None
        return Sight(
            revision=revision,
            holder=holder,
            unchanged_s=now - self._seen_since,
            gone=holder is not None and is_gone(holder),
        )

    async def _take(self, decision: Take) -> bool:
        began = self._clock()
        try:
            self._revision = await self._bucket.replace(KEY, self._mine(), decision.revision)
        except RevisionConflictError:
            return False  # somebody else was faster
        except BusError as error:
            await _pause_if_transient(error)
            return False  # if it was taken all the same, the next look finds it
        self._renewed_at = began
        return True

    async def _keep(self) -> None:
        while True:
            await anyio.sleep(self._timing.renew_s)
            with anyio.move_on_after(self._left_s()):
                self._renewed_at = await self._write(self._mine())
            self.check()

    async def _write(self, value: bytes) -> float:
        """Replace the lease, which is this process's; return when that was begun."""
        while True:
            began = self._clock()
            with anyio.move_on_after(self._timing.attempt_s):
                try:
                    self._revision = await self._bucket.replace(KEY, value, self._revision)
                    return began
                except RevisionConflictError:
                    self._revision = self._still_mine(await self._look())
                except BusError as error:
                    await _pause_if_transient(error)

    def _still_mine(self, sight: Sight) -> int:
        decision = as_holder(sight, self._me)
        if isinstance(decision, Lost):
            raise LeaseLostError(decision.reason)
        return decision.revision

    async def _give_back(self) -> None:
        with anyio.move_on_after(self._timing.give_up_s):
            try:
                await self._write(GIVEN_BACK)
            except (BusError, LeaseLostError) as error:
                self._log.warning(Action.BUS_ERROR, detail=f"the lease stays: {error}")

    def _mine(self) -> bytes:
        return self._me.model_dump_json().encode()


class GuardedBucket:
    """Implements `services.runtime.bus.Bucket`; changing it needs the lease."""

    def __init__(self, bucket: Bucket, lease: Lease) -> None:
        self._bucket = bucket
        self._lease = lease

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of `key`, or None."""
        return await self._bucket.get(key)

    async def put(self, key: str, value: bytes) -> int:
        """Set `key`, whatever it was, and return the revision."""
        self._lease.check()
        return await self._bucket.put(key, value)

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        """Set `key` if its revision is still `revision` (0: if there is none yet)."""
        self._lease.check()
        return await self._bucket.replace(key, value, revision)

    async def delete(self, key: str) -> None:
        """Remove `key`; removing what is not there is no error."""
        self._lease.check()
        await self._bucket.delete(key)

    async def keys(self) -> tuple[str, ...]:
        """Return all keys, sorted."""
        return await self._bucket.keys()

    def watch(self, keys: str = ">") -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Read the newest value of every key that `keys` matches, then every change, in order."""
        return self._bucket.watch(keys)


async def _pause_if_transient(error: BusError) -> None:
    if not error.transient:
        raise error
    await anyio.sleep(PAUSE_S)
