"""Discovery where the bus fails, and how many bytes of requests a service holds."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Overloaded
from services.runtime.bus.errors import BusTimeoutError, BusUnreachableError
from services.runtime.rpc.micro import SMALL_BYTES, ByteBudget, Identity, serve_endpoints
from services.runtime.telemetry.logs import logger
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

IDENTITY = Identity(name="n", id="i", version="1.0.0", description="d")


class FlakyBus(MemoryBus):
    """Fails the first answer that is sent."""

    failed = False

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        if not self.failed:
            self.failed = True
            raise BusUnreachableError("away")
        await super().publish(subject, data, headers, reply=reply)


async def test_a_ping_that_cannot_be_answered_does_not_end_the_service() -> None:
    bus = FlakyBus()
    async with serve_endpoints(bus, IDENTITY, [], logger("test")):
        with pytest.raises(BusTimeoutError):
            await bus.request("$SRV.PING", b"", timeout_s=0.05)
        answer = await bus.request("$SRV.PING", b"", timeout_s=5)
    assert orjson.loads(answer.data)["id"] == "i"


def test_a_single_request_fits_whatever_its_size() -> None:
    budget = ByteBudget(SMALL_BYTES)
    budget.reserve(10 * SMALL_BYTES)
    with pytest.raises(Overloaded) as caught:
        budget.reserve(SMALL_BYTES + 1)
    assert (caught.value.detail or {})["retry_after_s"]


@given(st.lists(st.tuples(st.integers(0, 5 * SMALL_BYTES), st.booleans()), max_size=40))
def test_in_any_sequence_what_is_held_is_within_the_bound_and_all_of_it_comes_back(
    steps: list[tuple[int, bool]],
) -> None:
    limit = 12 * SMALL_BYTES
    budget, held = ByteBudget(limit), list[int]()
    for size, leaves in steps:
        if leaves and held:
            budget.release(held.pop())
            continue
        try:
            budget.reserve(size)
            held.append(size)
        except Overloaded:
            assert budget.held + size > limit
        assert budget.held == sum(each for each in held if each > SMALL_BYTES) <= limit
    for each in held:
        budget.release(each)
    assert budget.held == 0
