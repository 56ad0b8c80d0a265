"""What goes ahead of an answer."""

from __future__ import annotations

from collections.abc import Mapping

import anyio.to_thread
import numpy as np
import pytest

from schemas.codec import ContentType, decode, encode, encode_fields
from schemas.headers import EARLY
from schemas.query import WctReply
from services.runtime.bus import Message
from services.runtime.bus.errors import BusUnreachableError
from services.runtime.rpc.early import MIN_EARLY_BYTES, Early
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

WANTED = Message(subject="q", data=b"", headers={EARLY: "_INBOX.mine"}, reply="r")
FIELDS = {name: np.full((2, MIN_EARLY_BYTES // 16), 0.5) for name in ("WCT", "aWCT")}


class DeafBus(MemoryBus):
    """Takes nothing, as while the server is away."""

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        raise BusUnreachableError(f"away: {subject} {len(data)} {headers} {reply}")


async def sent(bus: MemoryBus, fields: dict[str, np.ndarray]) -> frozenset[str]:
    early = Early.of(bus, WANTED, ContentType.MSGPACK)
    await anyio.to_thread.run_sync(early.send_from_thread, fields)
    return early.sent


async def test_fields_that_cannot_be_sent_ahead_stay_in_the_reply() -> None:
    assert await sent(DeafBus(), FIELDS) == frozenset()
    assert await sent(MemoryBus(), FIELDS) == {"WCT", "aWCT"}


async def test_what_is_small_or_too_large_for_a_message_does_not_go_ahead() -> None:
    bus = MemoryBus()
    assert await sent(bus, {"WCT": np.ones((1, 10))}) == frozenset()
    large = {"WCT": np.ones((1, bus.max_message_bytes // 8))}
    assert await sent(bus, large) == frozenset()


async def test_only_one_message_goes_ahead() -> None:
    early = Early.of(MemoryBus(), WANTED, ContentType.MSGPACK)
    assert early.takes(MIN_EARLY_BYTES)
    await anyio.to_thread.run_sync(early.send_from_thread, FIELDS)
    assert not early.takes(MIN_EARLY_BYTES)


def test_without_an_inbox_nothing_goes_ahead() -> None:
    early = Early.of(MemoryBus(), Message(subject="q", data=b"", reply="r"), ContentType.MSGPACK)
    assert not early.takes(MIN_EARLY_BYTES)
    early.send_from_thread(FIELDS)
    assert early.sent == frozenset()


def test_a_message_in_two_parts_is_the_whole_one() -> None:
    whole = WctReply(
        WCT=FIELDS["WCT"], aWCT=FIELDS["aWCT"], coi=np.ones(3), freqs=np.ones(2),
        signif=np.array([np.nan, 1]), seed=3, backend_used="sequential", computation_time=0.5,
    )  # fmt: skip
    rest = encode(whole, ContentType.MSGPACK, without=frozenset(FIELDS))
    early = encode_fields(FIELDS)
    assert decode(WctReply, rest, ContentType.MSGPACK, early=early) == whole
