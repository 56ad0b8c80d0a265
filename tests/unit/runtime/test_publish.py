"""Storing until kept."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from services.runtime.bus import StoreAck
from services.runtime.bus.errors import BusError, BusTimeoutError, NotStoredError
from services.runtime.storage.publish import publish_with_retry
from services.runtime.storage.retry import RetryPolicy
from services.runtime.telemetry.logs import logger
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


async def test_a_permanent_failure_is_raised_at_once() -> None:
    log = FailingLog(NotStoredError())
    with pytest.raises(NotStoredError):
        await store(log)
    assert len(log.ids) == 1


async def test_when_the_tries_are_used_up_the_last_failure_is_raised() -> None:
    with pytest.raises(BusTimeoutError):
        await store(FailingLog(*[BusTimeoutError()] * 5))
