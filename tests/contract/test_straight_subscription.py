"""Messages that are handed over where the driver reads them."""

from __future__ import annotations

import pytest
from nats.aio.msg import Msg

from services.runtime.nats_bus.client import OrderedClient
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio


async def test_they_come_in_order_with_what_they_carry_until_nobody_listens(
    nats_url: str,
) -> None:
    client = OrderedClient()
    await client.connect(nats_url)
    taken: list[Msg] = []
    waiting: list[int] = []

    async def take(msg: Msg) -> None:
        taken.append(msg)
        waiting.append(subscription.pending_msgs)

    subscription = await client.subscribe_straight("straight.*", take)
    for number in range(3):
        await client.publish(
            f"straight.{number}", b"x" * number, reply="back", headers={"N": str(number)}
        )
    with fail_after(5):
        await client.flush()
    assert [(m.subject, m.data, m.reply, m.headers) for m in taken] == [
        (f"straight.{number}", b"x" * number, "back", {"N": str(number)}) for number in range(3)
    ]
    assert waiting == [0, 0, 0]
    assert client.stats["in_msgs"] == 3
    await subscription.unsubscribe()
    await client.publish("straight.3", b"")
    with fail_after(5):
        await client.flush()
    assert len(taken) == 3
    assert not client._straight
    await client.leave()
