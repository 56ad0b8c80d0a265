"""Being there, being seen, and being taken for dead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.lowlevel
import pytest

from cwt_ingest.liveness import Timing
from cwt_ingest.member import Member, this_process
from cwt_ingest.membership import Membership, MembershipLostError, key_of
from cwt_runtime.bus import Bucket, BucketSpec, Change, Entry, Topology
from cwt_runtime.bus.errors import BusClosedError, BusTimeoutError, BusUnreachableError
from cwt_runtime.telemetry.logs import logger
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

#: No time is awaited but these; a slow machine makes no test fail.
QUICK = Timing(renew_s=0.01, attempt_s=0.05, give_up_s=30, term_s=60, look_s=0.01)
IMPATIENT = Timing(renew_s=0.01, attempt_s=0.05, give_up_s=0.2, term_s=0.4, look_s=0.01)
#: A process on a machine of which nothing is known here.
FAR = Member(instance="far", host="elsewhere", system="other", pid=1, started_ticks=1)
ME = this_process("me")


class Trouble:
    """A bucket that is reached over a bad line."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        #: What comes of the next tries to replace.
        self.next: list[str] = []
        self.then = "fine"
        self.calm = anyio.Event()

    async def get(self, key: str) -> Entry | None:
        return await self._bucket.get(key)

    async def put(self, key: str, value: bytes) -> int:
        return await self._bucket.put(key, value)

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        how = self.next.pop(0) if self.next else self.then
        if how == "unreachable":
            raise BusUnreachableError(how)
        if how == "closed":
            raise BusClosedError(how)
        if how == "unanswered":
            await anyio.sleep_forever()
        new = await self._bucket.replace(key, value, revision)
        if how == "answer lost":
            raise BusTimeoutError(how)
        if how == "answer never came":
            await anyio.sleep_forever()
        if not self.next:
            self.calm.set()
        return new

    async def delete(self, key: str) -> None:
        await self._bucket.delete(key)

    async def forget(self, key: str) -> None:
        await self._bucket.forget(key)

    async def keys(self) -> tuple[str, ...]:
        return await self._bucket.keys()

    def watch(self, keys: str = ">") -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        return self._bucket.watch(keys)


@pytest.fixture
async def bucket() -> Trouble:
    log = MemoryBus().log
    await log.declare(Topology(streams=(), consumers=(), buckets=(BucketSpec(name="b"),)))
    return Trouble(await log.bucket("b"))


def member(bucket: Bucket, me: Member = ME, timing: Timing = QUICK) -> Membership:
    return Membership(bucket, me, logger("ingest"), timing=timing)


async def there(bucket: Bucket, other: Member) -> int:
    return await bucket.put(key_of(other.instance), other.model_dump_json().encode())


async def revision(bucket: Bucket, instance: str = "me") -> int:
    entry = await bucket.get(key_of(instance))
    assert entry is not None
    return entry.revision


async def renewed(bucket: Bucket, times: int = 1) -> None:
    begin = await revision(bucket)
    with fail_after(20):
        while await revision(bucket) < begin + times:
            await anyio.lowlevel.checkpoint()


async def sees(membership: Membership, *instances: str) -> None:
    with fail_after(20):
        while set(membership.instances) != set(instances):
            await anyio.lowlevel.checkpoint()


async def test_live_member_renews_lease_and_leaving_member_removes_it(
    bucket: Trouble,
) -> None:
    first, second = member(bucket), member(bucket, this_process("second"))
    async with first.joined():
        async with second.joined():
            await sees(first, "me", "second")
            await sees(second, "me", "second")
            await renewed(bucket, times=3)
            assert await first.is_there("second")
        await sees(first, "me")
        assert not await first.is_there("second")
    assert await bucket.keys() == ()


async def test_connection_and_disconnection_are_reported(bucket: Trouble) -> None:
    first = member(bucket)
    async with first.joined():
        changed = first.changed
        await there(bucket, FAR)
        with fail_after(20):
            await changed.wait()
        assert set(first.instances) == {"me", "far"}


async def test_member_silent_for_term_is_declared_dead(bucket: Trouble) -> None:
    await there(bucket, FAR)
    begin = anyio.current_time()
    first = member(bucket, timing=IMPATIENT)
    async with first.joined():
        await sees(first, "me", "far")
        await sees(first, "me")
        assert anyio.current_time() - begin >= IMPATIENT.term_s
    assert await bucket.keys() == ()


async def test_a_dead_process_of_this_system_is_not_waited_for(bucket: Trouble) -> None:
    await there(bucket, ME.model_copy(update={"instance": "dead", "started_ticks": 0}))
    first = member(bucket)
    with fail_after(QUICK.term_s / 2):
        async with first.joined():
            while await first.is_there("dead"):
                await anyio.lowlevel.checkpoint()


async def test_member_declared_dead_is_cancelled(bucket: Trouble) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(MembershipLostError, match="process dead")):
        async with member(bucket).joined():
            await bucket.put(key_of("me"), b"")
            await bucket.delete(key_of("me"))
            await anyio.sleep_forever()
    assert await bucket.keys() == ()


async def test_member_declared_dead_rejoins(bucket: Trouble) -> None:
    for removed in (b"", None):
        await bucket.put(key_of("me"), b"")
        if removed is None:
            await bucket.delete(key_of("me"))
        async with member(bucket).joined():
            await renewed(bucket)


async def test_member_rejoins_with_own_lease_after_lost_connection(bucket: Trouble) -> None:
    """Others see that it is there all the time, and do not wait until it counts as dead."""
    await there(bucket, ME)
    with fail_after(QUICK.term_s / 2):
        async with member(bucket).joined():
            await renewed(bucket)


async def test_member_that_cannot_renew_ends(bucket: Trouble) -> None:
    lost = pytest.RaisesExc(MembershipLostError, match=r"\d s\b")
    with fail_after(20), pytest.RaisesGroup(lost):
        async with member(bucket, timing=IMPATIENT).joined():
            bucket.then = "unreachable"
            await anyio.sleep_forever()


@pytest.mark.parametrize("how", ["unreachable", "unanswered", "answer lost", "answer never came"])
async def test_transient_errors_end_no_service(bucket: Trouble, how: str) -> None:
    async with member(bucket).joined():
        bucket.next, bucket.calm = [how, how], anyio.Event()
        with fail_after(20):
            await bucket.calm.wait()
        await renewed(bucket, times=2)


async def test_a_connection_that_is_closed_for_good_ends_it(bucket: Trouble) -> None:
    bucket.then = "closed"
    with pytest.raises(BusClosedError):
        async with member(bucket).joined():
            pass


async def test_suspended_member_detects_possible_expiry(bucket: Trouble) -> None:
    now = [100.0]
    mine = Membership(bucket, ME, logger("ingest"), clock=lambda: now[0])
    async with mine.joined():
        mine.check()
        now[0] += Timing().give_up_s
        with pytest.raises(MembershipLostError, match="for 5 s"):
            mine.check()
        now[0] -= Timing().give_up_s
