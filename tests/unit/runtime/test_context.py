"""What the code that serves a request has of it, and fields that are sent ahead of a reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import anyio
import anyio.to_thread
import numpy as np
import pytest

from cwt_runtime.bus import Bus, Message
from cwt_runtime.bus.errors import BusUnreachableError
from cwt_runtime.rpc.context import (
    MIN_EARLY_BYTES,
    Early,
    RequestContext,
    SyncBus,
    request_context,
    service_context,
    serving_request,
)
from cwt_schemas.codec import ContentType, decode, encode, encode_fields
from cwt_schemas.headers import EARLY
from cwt_schemas.query import WctReply
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

WANTED = Message(subject="q", data=b"", headers={EARLY: "_INBOX.mine"}, reply="_INBOX.r.1")
FIELDS = {name: np.full((2, MIN_EARLY_BYTES // 16), 0.5) for name in ("WCT", "aWCT")}


async def echo(bus: Bus, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    async with bus.subscribe("echo") as questions:
        task_status.started()
        async for question in questions:
            await bus.publish(question.reply or "", question.data[::-1])


def found() -> SyncBus:
    reached = request_context().bus
    assert reached is not None
    return reached


async def test_a_thread_asks_on_the_bus_of_its_service() -> None:
    bus = MemoryBus()
    async with anyio.create_task_group() as tasks:
        await tasks.start(lambda task_status: echo(bus, task_status=task_status))
        with service_context(bus):
            reply = await anyio.to_thread.run_sync(
                lambda: found().request("echo", b"abc", timeout_s=5)
            )
        tasks.cancel_scope.cancel()

    assert reply.data == b"cba"


async def test_no_bus_outside_of_a_service() -> None:
    assert request_context() == RequestContext()
    with service_context(MemoryBus()):
        assert (await anyio.to_thread.run_sync(request_context)).bus is not None
    assert await anyio.to_thread.run_sync(request_context) == RequestContext()


def test_a_request_keeps_the_bus_of_its_service() -> None:
    bus = MemoryBus()
    early = Early(bus, None)
    with service_context(bus):
        request = Message(subject="q", data=b"", reply="_INBOX.one.2")
        with serving_request(request, early):
            assert found().bus is bus
            assert request_context().client_id == "_INBOX.one"
            assert request_context().early is early
        assert request_context().client_id == ""
        assert request_context().early is None


async def test_a_call_on_the_event_loop_is_an_error_rather_than_a_deadlock() -> None:
    with service_context(MemoryBus()), pytest.raises(RuntimeError, match="worker thread"):
        found().request("echo", b"", timeout_s=5)


async def test_cancelling_the_task_ends_the_wait_of_its_thread() -> None:
    bus = MemoryBus()

    def ask() -> None:
        found().request("silence", b"", timeout_s=60)

    with fail_after(5):
        async with bus.subscribe("silence") as questions, anyio.create_task_group() as tasks:
            with service_context(bus):
                tasks.start_soon(anyio.to_thread.run_sync, ask)
            async for _ in questions:
                break
            tasks.cancel_scope.cancel()


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


async def test_fields_not_sent_early_stay_in_reply() -> None:
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


def test_no_early_reply_without_inbox() -> None:
    early = Early.of(MemoryBus(), Message(subject="q", data=b"", reply="r"), ContentType.MSGPACK)
    assert not early.takes(MIN_EARLY_BYTES)
    early.send_from_thread(FIELDS)
    assert early.sent == frozenset()


def test_no_early_reply_to_another_account() -> None:
    """Its inboxes are not here, so the client would wait for what never comes."""
    request = replace(WANTED, reply="_R_.Xk2v9T.17")
    assert not Early.of(MemoryBus(), request, ContentType.MSGPACK).takes(MIN_EARLY_BYTES)


def test_a_message_in_two_parts_is_the_whole_one() -> None:
    whole = WctReply(
        WCT=FIELDS["WCT"], aWCT=FIELDS["aWCT"], coi=np.ones(3), freqs=np.ones(2),
        signif=np.array([np.nan, 1]), seed=3, backend_used="sequential", computation_time=0.5,
    )  # fmt: skip
    rest = encode(whole, ContentType.MSGPACK, without=frozenset(FIELDS))
    early = encode_fields(FIELDS)
    assert decode(WctReply, rest, ContentType.MSGPACK, early=early) == whole
