"""Messages that are handed over where the driver reads them."""

from __future__ import annotations

import gc
import weakref

import pytest
from nats.aio.msg import Msg

from cwt_runtime.bus.nats.client import OrderedClient
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio


async def test_messages_arrive_in_order_until_client_leaves(
    nats_url: str,
) -> None:
    client = OrderedClient()
    await client.connect(nats_url)
    listener = await listened_to_three(client)
    gc.collect()
    assert listener() is None, "the client still refers to it"
    await client.leave()


async def listened_to_three(client: OrderedClient) -> weakref.ref[object]:
    """Subscribe, take three messages, unsubscribe, and return a reference to the listener."""
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
    return weakref.ref(take)
