"""Ingest reports problems of a stream or its samples to the publisher."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import NotFound, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import EventKind, StreamEvent
from cwt_schemas.message import Message
from cwt_schemas.stream import Channel, StreamDefinition, StreamGet, StreamStatus
from pycwt_client import Client
from pycwt_client.feedback import misgiving
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.unit.client.conftest import serving

pytestmark = pytest.mark.anyio

NOW_NS = 10**18


def status(*channels: str, **changes: object) -> StreamStatus:
    columns = tuple(Channel(name=name) for name in channels or ("x", "y"))
    defined = StreamDefinition(name="s", fs_hz=100.0, channels=columns)
    return StreamStatus.model_validate({"definition": defined, **changes})


@asynccontextmanager
async def ingest(bus: MemoryBus, reply: Callable[[], StreamStatus]) -> AsyncIterator[None]:
    def answer(_request: Message) -> Message:
        return reply()

    async with serving(bus, subjects.stream("get"), StreamGet, answer):
        yield


def unknown() -> StreamStatus:
    raise NotFound("stream s does not exist; define it with cwt.stream.put")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3000, 3), "3 channels, but the stream has 2"),
        ((3000,), "1 channel, but the stream has 2"),
        ((2, 3000), "transposed"),
    ],
)
async def test_samples_of_other_channels_are_refused_before_they_are_sent(
    bus: MemoryBus, shape: tuple[int, ...], said: str
) -> None:
    """They became as many samples of the stream's channels as their bytes would fill."""
    async with ingest(bus, status), Client(bus).publisher("s", "e") as publisher:
        for call in (publisher.publish, publisher.push):
            with pytest.raises(Unprocessable, match=said):
                await call(np.ones(shape))
        await publisher.publish(np.ones((5, 2)))
    assert publisher.next_sample == 5
    assert await bus.log.last_seq(storage.SIGNALS) == 1


async def test_a_transposed_block_of_one_channel_is_refused(bus: MemoryBus) -> None:
    async with ingest(bus, lambda: status("x")), Client(bus).publisher("s", "e") as publisher:
        with pytest.raises(Unprocessable, match="transposed"):
            await publisher.publish(np.ones((1, 3000)))
        await publisher.publish(np.ones((3000, 1)))


async def test_redefined_stream_has_its_new_channels(bus: MemoryBus) -> None:
    present = [status("x", "y")]
    async with ingest(bus, lambda: present[0]), Client(bus).publisher("s", "e") as publisher:
        await publisher.publish(np.ones((5, 2)))
        present[0] = status("x", "y", "z")
        await publisher.publish(np.ones((5, 3)))
    assert publisher.kept == 2


async def test_a_publisher_of_a_stream_that_is_not_defined_learns_it(bus: MemoryBus) -> None:
    """It published for hours, and nothing was analysed."""
    async with ingest(bus, unknown):
        with pytest.raises(NotFound, match=r"stream s is not defined; .*put_stream"):
            async with Client(bus).publisher("s"):
                pytest.fail("it was opened")
        async with Client(bus).publisher("s", defined=False) as publisher:
            await publisher.publish(np.ones(3))
    assert publisher.kept == 1


async def test_samples_are_stored_without_ingest(bus: MemoryBus) -> None:
    async with Client(bus).publisher("s") as publisher:
        await publisher.publish(np.ones((3, 7)))
    assert publisher.kept == 1


async def tell(bus: MemoryBus, kind: EventKind, *, epoch: str, number: int) -> None:
    event = StreamEvent(
        id=f"s/{number}/{kind}", stream="s", kind=kind, epoch=epoch, detail="so it is", t_ns=1
    )
    headers = {CONTENT_TYPE: ContentType.MSGPACK.value}
    body = encode(event, ContentType.MSGPACK)
    await bus.log.store(subjects.event("s"), body, msg_id=event.id, headers=headers)


async def test_publisher_receives_events_of_its_stream(bus: MemoryBus) -> None:
    heard: list[StreamEvent] = []
    opened = Client(bus).publisher("s", "mine", on_event=heard.append)
    async with ingest(bus, status), opened as publisher:
        await tell(bus, "reset", epoch="other", number=1)
        await tell(bus, "rejected", epoch="other", number=2)
        for _ in range(2):  # told again, it is heard once
            await tell(bus, "rejected", epoch="mine", number=3)
        await bus.publish(subjects.event("s"), b"of a version to come")
        await tell(bus, "gap", epoch="mine", number=4)
        with fail_after(10):
            while len(heard) < 4:
                await anyio.lowlevel.checkpoint()
    assert [event.kind for event in heard] == ["reset", "rejected", "rejected", "gap"]
    assert publisher.events == tuple(heard)
    assert publisher.refused == (heard[2],)


async def test_a_publisher_that_is_cancelled_stops_listening(bus: MemoryBus) -> None:
    with fail_after(10), anyio.CancelScope() as scope:
        async with Client(bus).publisher("s", "e"):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("changes", "epoch", "said"),
    [
        ({}, "a", None),
        ({"epoch": "a", "last_chunk_ns": NOW_NS - 10**9}, "b", "epoch a of s .* 1.0 s ago"),
        ({"epoch": "a", "last_chunk_ns": NOW_NS - 10**9}, "a", "another publisher"),
        ({"epoch": "a", "last_chunk_ns": NOW_NS - 10**11}, "b", None),
        ({"epoch": "a", "last_chunk_ns": NOW_NS, "ended_epochs": ("a",)}, "b", None),
        (
            {"epoch": "a", "next_sample": 7, "last_chunk_ns": NOW_NS, "ended_epochs": ("a",)},
            "a",
            "epoch a of s has ended at sample 7.*another epoch",
        ),
        ({"epoch": "b", "ended_epochs": ("a",)}, "a", "epoch a of s has ended, "),
    ],
)
def test_problems_of_publishing_are_reported(
    changes: dict[str, object], epoch: str, said: str | None
) -> None:
    found = misgiving(status(**changes), epoch, now_ns=NOW_NS)
    assert (found is None) == (said is None)
    assert re.search(said or "", found or "")
