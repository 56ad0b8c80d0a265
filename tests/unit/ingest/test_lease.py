"""One holder at a time, and always a next one."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.lowlevel
import orjson
import pytest

from services.ingest.claim import Lost, Sight, Take, Timing, Wait, as_holder, as_standby
from services.ingest.holder import Holder, this_process
from services.ingest.lease import KEY, Lease, LeaseLostError
from services.runtime.bus import Bucket, Change, Entry
from services.runtime.errors import BusClosedError, BusTimeoutError, BusUnreachableError
from services.runtime.logs import configure_logs, logger
from services.runtime.memory_bus import MemoryBus
from services.runtime.settings import ServiceSettings
from services.runtime.stopping import Stop
from services.runtime.topology import BucketSpec, Topology

pytestmark = pytest.mark.anyio

#: No time is awaited but these; a slow machine makes no test fail.
QUICK = Timing(renew_s=0.01, attempt_s=0.05, give_up_s=30, term_s=60, look_s=0.01)
IMPATIENT = Timing(renew_s=0.01, attempt_s=0.05, give_up_s=0.1, term_s=0.2, look_s=0.01)
#: A process on a machine of which nothing is known here.
FAR = Holder(instance="far", host="elsewhere", system="other", pid=1, started_ticks=1)
ME = this_process("me")


def sight(holder: Holder | None, *, unchanged_s: float = 0.0, gone: bool = False) -> Sight:
    return Sight(revision=7, holder=holder, unchanged_s=unchanged_s, gone=gone)


@pytest.mark.parametrize(
    ("seen", "decision"),
    [
        (sight(None), Take(7)),
        (sight(ME), Take(7)),
        (sight(FAR), Wait(FAR)),
        (sight(FAR, unchanged_s=5.9), Wait(FAR)),
        (sight(FAR, unchanged_s=6.0), Take(7)),
        (sight(FAR, gone=True), Take(7)),
    ],
)
def test_a_standby_takes_what_is_free(seen: Sight, decision: Take | Wait) -> None:
    assert as_standby(seen, ME, Timing()) == decision


@pytest.mark.parametrize("unchanged_s", [0.0, 60.0])
def test_a_holder_goes_on_only_with_what_is_its_own(unchanged_s: float) -> None:
    assert as_holder(sight(ME, unchanged_s=unchanged_s), ME) == Take(7)
    assert isinstance(as_holder(sight(FAR, unchanged_s=unchanged_s), ME), Lost)
    assert isinstance(as_holder(sight(None, unchanged_s=unchanged_s), ME), Lost)


def test_a_holder_ends_before_a_standby_may_begin() -> None:
    with pytest.raises(ValueError, match="give_up_s < term_s"):
        Timing(give_up_s=6, term_s=6)


def test_a_takeover_takes_less_than_ten_seconds() -> None:
    timing = Timing()
    seen_late = begun_late = timing.look_s
    assert seen_late + timing.term_s + begun_late < 10 - 2  # and two to load the definitions


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

    async def keys(self) -> tuple[str, ...]:
        return await self._bucket.keys()

    def watch(self, keys: str = ">") -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        return self._bucket.watch(keys)


@pytest.fixture
async def bucket() -> Trouble:
    log = MemoryBus().log
    await log.declare(Topology(streams=(), consumers=(), buckets=(BucketSpec(name="b"),)))
    return Trouble(await log.bucket("b"))


def lease(bucket: Bucket, me: Holder = ME, timing: Timing = QUICK) -> Lease:
    return Lease(bucket, me, logger("ingest"), timing=timing)


async def held_by(bucket: Bucket, holder: Holder) -> int:
    return await bucket.put(KEY, holder.model_dump_json().encode())


async def revision(bucket: Bucket) -> int:
    entry = await bucket.get(KEY)
    assert entry is not None
    return entry.revision


async def renewed(bucket: Bucket, times: int = 1) -> None:
    begin = await revision(bucket)
    with anyio.fail_after(20):
        while await revision(bucket) < begin + times:
            await anyio.lowlevel.checkpoint()


def said(stream: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


async def test_the_first_one_works_at_once_and_renews_the_lease(bucket: Trouble) -> None:
    first = lease(bucket)
    assert await first.acquire(Stop())
    async with first.kept():
        await renewed(bucket, times=3)


async def test_a_standby_says_so_once_and_begins_when_the_lease_is_given_back(
    bucket: Trouble,
) -> None:
    stream = io.StringIO()
    configure_logs(ServiceSettings(log_format="json"), stream)
    first, second = lease(bucket), lease(bucket, this_process("second"))
    assert await first.acquire(Stop())
    outcome: list[bool] = []

    async def stand_by() -> None:
        outcome.append(await second.acquire(Stop()))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, first.kept():
            tasks.start_soon(stand_by)
            while not said(stream):
                await anyio.lowlevel.checkpoint()
            await renewed(bucket, times=5)
            assert outcome == []
    assert outcome == [True]
    assert [(record["action"], record["holder"]) for record in said(stream)] == [("standby", "me")]


async def test_a_standby_ends_at_once_when_it_is_asked_to(bucket: Trouble) -> None:
    await held_by(bucket, FAR)
    stop = Stop()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:

            async def stand_by() -> None:
                assert not await lease(bucket, timing=Timing(look_s=3600)).acquire(stop)

            tasks.start_soon(stand_by)
            await anyio.lowlevel.checkpoint()
            stop.set()


async def test_a_lease_that_is_not_renewed_is_taken_after_its_term(bucket: Trouble) -> None:
    await held_by(bucket, FAR)
    begin = anyio.current_time()
    with anyio.fail_after(20):
        assert await lease(bucket, timing=IMPATIENT).acquire(Stop())
    assert anyio.current_time() - begin >= IMPATIENT.term_s


async def test_the_lease_of_a_dead_process_of_this_system_is_taken_at_once(
    bucket: Trouble,
) -> None:
    await held_by(bucket, ME.model_copy(update={"instance": "dead", "started_ticks": 0}))
    with anyio.fail_after(QUICK.term_s / 2):
        assert await lease(bucket).acquire(Stop())


async def test_of_two_that_see_a_free_lease_one_takes_it(bucket: Trouble) -> None:
    await held_by(bucket, FAR)
    stop, winners = Stop(), []

    async def stand_by(name: str) -> None:
        if await lease(bucket, this_process(name), IMPATIENT).acquire(stop):
            winners.append(name)
            stop.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for name in ("a", "b", "c"):
                tasks.start_soon(stand_by, name)
    assert len(winners) == 1


async def test_a_holder_whose_lease_was_taken_is_cancelled_and_leaves_it_alone(
    bucket: Trouble,
) -> None:
    mine = lease(bucket)
    assert await mine.acquire(Stop())
    with pytest.RaisesGroup(pytest.RaisesExc(LeaseLostError, match="far on elsewhere")):
        async with mine.kept():
            taken = await held_by(bucket, FAR)
            await anyio.sleep_forever()
    assert await revision(bucket) == taken


async def test_giving_back_leaves_a_lease_alone_that_is_anothers_by_now(bucket: Trouble) -> None:
    mine = lease(bucket, timing=Timing())
    assert await mine.acquire(Stop())
    async with mine.kept():
        taken = await held_by(bucket, FAR)
    assert await revision(bucket) == taken


async def test_a_holder_that_cannot_renew_ends(bucket: Trouble) -> None:
    mine = lease(bucket, timing=IMPATIENT)
    assert await mine.acquire(Stop())
    with anyio.fail_after(20):
        with pytest.RaisesGroup(pytest.RaisesExc(LeaseLostError, match="not renewed")):
            async with mine.kept():
                bucket.then = "unreachable"
                await anyio.sleep_forever()


@pytest.mark.parametrize("how", ["unreachable", "unanswered", "answer lost", "answer never came"])
async def test_a_holder_outlives_trouble_that_passes(bucket: Trouble, how: str) -> None:
    mine = lease(bucket)
    assert await mine.acquire(Stop())
    async with mine.kept():
        bucket.next, bucket.calm = [how, how], anyio.Event()
        with anyio.fail_after(20):
            await bucket.calm.wait()
        await renewed(bucket, times=2)
    entry = await bucket.get(KEY)
    assert entry is not None
    assert entry.value == b""


@pytest.mark.parametrize("how", ["unreachable", "answer lost"])
async def test_a_lease_is_taken_over_a_bad_line(bucket: Trouble, how: str) -> None:
    bucket.next = [how]
    with anyio.fail_after(20):
        assert await lease(bucket).acquire(Stop())


async def test_a_holder_that_was_halted_changes_nothing_that_its_successor_may_have_written(
    bucket: Trouble,
) -> None:
    now = [100.0]
    mine = Lease(bucket, ME, logger("ingest"), clock=lambda: now[0])
    assert await mine.acquire(Stop())
    guarded = mine.guarded(bucket)
    await guarded.put("s", b"old")
    now[0] += Timing().give_up_s
    await bucket.put("s", b"new")
    with pytest.raises(LeaseLostError, match="not renewed for 5 s"):
        await guarded.put("s", b"old")
    with pytest.raises(LeaseLostError):
        await guarded.replace("t", b"old", 0)
    with pytest.raises(LeaseLostError):
        await guarded.delete("s")
    entry = await guarded.get("s")
    assert entry is not None
    assert entry.value == b"new"
    assert await guarded.keys() == (KEY, "s")


async def test_a_connection_that_is_closed_for_good_ends_the_standby(bucket: Trouble) -> None:
    bucket.then = "closed"
    with pytest.raises(BusClosedError):
        await lease(bucket).acquire(Stop())
