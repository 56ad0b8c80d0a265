"""Publishing with retries, and several messages concurrently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import anyio
import anyio.lowlevel
import pytest

from cwt_runtime.bus import StoreAck
from cwt_runtime.bus.errors import BusError, BusTimeoutError, NotStoredError
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.storage.publish import publish_all, publish_with_retry, store_with_retry
from cwt_runtime.telemetry.logs import logger
from tests.deadlines import fail_after
from tests.memory_bus.log import MemoryLog

pytestmark = pytest.mark.anyio
IMPATIENT = RetryPolicy(first_delay_s=0.001, max_delay_s=0.001, max_tries=3)


class FailingLog(MemoryLog):
    """Fails with the given errors first."""

    def __init__(self, *errors: BusError) -> None:
        super().__init__()
        self.errors = list(errors)
        self.ids: list[str] = []

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        del subject, data, headers, expect_seq
        self.ids.append(msg_id)
        if self.errors:
            raise self.errors.pop(0)
        return StoreAck(stream="S", seq=1, duplicate=False)


async def store(log: FailingLog) -> StoreAck:
    return await publish_with_retry(
        log, "s", b"", msg_id="id", log=logger("test"), policy=IMPATIENT
    )


async def test_a_transient_failure_is_tried_again_under_the_same_id() -> None:
    log = FailingLog(BusTimeoutError(), BusTimeoutError())
    assert (await store(log)).seq == 1
    assert log.ids == ["id"] * 3


async def test_permanent_failure_is_raised_immediately() -> None:
    log = FailingLog(NotStoredError())
    with pytest.raises(NotStoredError):
        await store(log)
    assert len(log.ids) == 1


async def test_when_the_tries_are_used_up_the_last_failure_is_raised() -> None:
    with pytest.raises(BusTimeoutError):
        await store(FailingLog(*[BusTimeoutError()] * 5))


async def test_what_is_not_a_message_is_retried_alike() -> None:
    failures: list[BusError] = [BusTimeoutError(), BusTimeoutError()]

    async def put() -> str:
        if failures:
            raise failures.pop()
        return "stored"

    assert await store_with_retry(put, log=logger("test"), policy=IMPATIENT, id="o") == "stored"


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_all_are_published_and_at_most_the_limit_concurrently(limit: int) -> None:
    under_way = most = 0
    full = anyio.Event()
    done: list[int] = []

    async def publish(item: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == min(limit, 20):
            full.set()
        await full.wait()
        under_way -= 1
        done.append(item)

    with fail_after(5):
        await publish_all(range(20), publish, limit=limit)
    assert sorted(done) == list(range(20))
    assert most == min(limit, 20)


async def test_after_failure_no_task_starts_and_running_ones_end() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def publish(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise NotStoredError("full")
        await anyio.wait_all_tasks_blocked()
        ended.append(item)

    with pytest.raises(NotStoredError, match="full"):
        await publish_all(range(100), publish, limit=2)
    assert begun == [0, 1]
    assert ended == [0]


async def test_items_are_read_no_faster_than_they_are_published() -> None:
    read: list[int] = []
    published: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            read.append(item)
            assert len(read) - len(published) <= 2
            yield item

    async def publish(item: int) -> None:
        await anyio.lowlevel.checkpoint()
        published.append(item)

    await publish_all(items(), publish, limit=2)
    assert published == read == list(range(10))
