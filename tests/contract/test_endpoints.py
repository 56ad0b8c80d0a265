"""Endpoints as NATS services: answers, refusals, discovery, statistics, bounds, a clean stop."""

from __future__ import annotations

import gc
import hashlib
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import orjson
import pytest
from pydantic import field_validator

from cwt_runtime.bus import Bus, Message, ObjectsSpec, Topology
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.rpc.admission import LARGE_REPLIES, SMALL_BYTES, Admission
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.settings import REQUESTS_MAX_BYTES
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.endpoints import Endpoint as Contract
from cwt_schemas.errors import NotFound
from cwt_schemas.headers import ACCEPT, CONTENT_TYPE, SERVICE_ERROR, SERVICE_ERROR_CODE
from cwt_schemas.message import Message as Model
from cwt_schemas.message import StoredReply
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

IDENTITY = Identity(name="calc", id="calc-1", version="1.2.3", description="tests")


REPLIES = Topology(
    streams=(),
    consumers=(),
    buckets=(),
    objects=(ObjectsSpec(name=storage.REPLIES, when_full="drop_old", max_bytes=64 * 1024**2),),
)


class Question(Model):
    """A number."""

    x: int


class Text(Model):
    """Some text."""

    text: str


class Answer(Model):
    """Its double."""

    y: int


async def double(question: Question) -> Answer:
    if question.x == 13:
        raise NotFound("no 13 here")
    if question.x < 0:
        raise RuntimeError("secret /path/to/something")
    return Answer(y=2 * question.x)


def endpoint(**changes: Any) -> Endpoint:
    contract = Contract(subject="calc.double", request=Question, reply=Answer)
    return Endpoint(**{"contract": contract, "handle": double, **changes})


@asynccontextmanager
async def served(
    bus: Bus, *, max_bytes: int = REQUESTS_MAX_BYTES, **changes: Any
) -> AsyncIterator[None]:
    async with serve_endpoints(
        bus, IDENTITY, [endpoint(**changes)], logger("test"), Admission(max_bytes=max_bytes)
    ):
        yield


async def ask(bus: Bus, data: bytes, headers: dict[str, str] | None = None) -> Message:
    return await bus.request("calc.double", data, headers, timeout_s=5)


async def test_a_plain_json_request_gets_a_json_answer(bus: Bus) -> None:
    async with served(bus):
        reply = await ask(bus, b'{"x": 21}')
    assert orjson.loads(reply.data) == {"y": 42}
    assert reply.headers[CONTENT_TYPE] == "application/json"


#: Where a service may publish and its clients may not.
DETOURS = [
    "cwt.signal.icu",
    "$KV.cwt_streams.icu",
    "$JS.API.STREAM.DELETE.X",
    "_INBOX",
    "_INBOXES.a",
]


@pytest.mark.parametrize("reply", DETOURS)
async def test_a_service_publishes_nowhere_but_to_an_inbox(bus: Bus, reply: str) -> None:
    async def count(question: Question) -> Answer:
        handled.append(question.x)
        return Answer(y=0)

    handled: list[int] = []
    async with served(bus, handle=count), bus.subscribe(reply) as detour:
        before = metrics.BUS_IGNORED._value.get()
        await bus.publish("calc.double", b'{"x": 1}', reply=reply)
        await bus.publish("$SRV.PING", b"", reply=reply)
        await ask(bus, b'{"x": 2}')
        await bus.request("$SRV.PING", b"", timeout_s=5)
        await bus.publish(reply, b"the first")
        with fail_after(5):
            assert (await anext(aiter(detour))).data == b"the first"
    assert handled == [2]
    assert metrics.BUS_IGNORED._value.get() == before + 2


async def test_other_inboxes_are_answered_if_the_settings_name_them(bus: Bus) -> None:
    async with (
        serve_endpoints(bus, IDENTITY, [endpoint()], logger("test"), reply_prefixes="mine,a.b"),
        bus.subscribe("a.b.>") as inbox,
    ):
        await bus.publish("calc.double", b'{"x": 1}', reply="_INBOX.a")
        await bus.publish("calc.double", b'{"x": 2}', reply="a.b.c")
        with fail_after(5):
            assert orjson.loads((await anext(aiter(inbox))).data) == {"y": 4}


async def test_reply_has_requested_encoding(bus: Bus) -> None:
    async with served(bus):
        reply = await ask(bus, b'{"x": 21}', {ACCEPT: "application/msgpack"})
    assert reply.data == b"\x81\xa1y*"


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b'{"x": "one"}', 422, "x"),
        (b'{"x": 1, "z": 2}', 422, "z"),
        (b"{", 400, "read"),
        (b'{"x": 13}', 404, "no 13 here"),
    ],
)
async def test_a_fault_is_in_the_headers_and_in_the_body(
    bus: Bus, body: bytes, status: int, word: str
) -> None:
    async with served(bus):
        reply = await ask(bus, body)
    assert reply.headers[SERVICE_ERROR_CODE] == str(status)
    assert word in reply.headers[SERVICE_ERROR]
    assert word in orjson.loads(reply.data)["error"]["message"]


async def test_bug_is_reported_without_text_and_service_continues(bus: Bus) -> None:
    async with served(bus):
        reply = await ask(bus, b'{"x": -1}')
        assert reply.headers[SERVICE_ERROR_CODE] == "500"
        assert b"secret" not in reply.data
        assert orjson.loads((await ask(bus, b'{"x": 1}')).data) == {"y": 2}


async def test_the_service_can_be_discovered(bus: Bus) -> None:
    async with served(bus):
        ping = orjson.loads((await bus.request("$SRV.PING", b"", timeout_s=5)).data)
        info = orjson.loads((await bus.request("$SRV.INFO.calc", b"", timeout_s=5)).data)
        await ask(bus, b'{"x": 1}')
        await ask(bus, b'{"x": 13}')
        stats = orjson.loads((await bus.request("$SRV.STATS.calc.calc-1", b"", timeout_s=5)).data)
    assert (ping["type"], ping["name"]) == ("io.nats.micro.v1.ping_response", "calc")
    assert info["endpoints"][0]["subject"] == "calc.double"
    assert info["endpoints"][0]["metadata"]["schema"] == "calc.double/1"
    counted = stats["endpoints"][0]
    assert (counted["num_requests"], counted["num_errors"]) == (2, 1)
    assert "no 13 here" in counted["last_error"]


async def test_slow_requests_do_not_queue_behind_each_other(bus: Bus) -> None:
    arrived, release = [], anyio.Event()

    async def wait(question: Question) -> Answer:
        arrived.append(question.x)
        if len(arrived) == 3:
            release.set()
        await release.wait()
        return Answer(y=0)

    async with served(bus, handle=wait, concurrency=3), anyio.create_task_group() as tasks:
        with fail_after(5):
            for i in range(3):
                tasks.start_soon(ask, bus, b'{"x": %d}' % i)
            await release.wait()


async def test_more_than_may_wait_is_refused_as_overloaded(bus: Bus) -> None:
    release, replies = anyio.Event(), []

    async def wait(question: Question) -> Answer:
        await release.wait()
        return Answer(y=question.x)

    async def client(i: int) -> None:
        reply = await ask(bus, b'{"x": %d}' % i)
        replies.append(reply.headers.get(SERVICE_ERROR_CODE))
        if replies == ["429"]:
            release.set()

    async with served(bus, handle=wait, concurrency=1, waiting=1):
        with fail_after(5):
            async with anyio.create_task_group() as tasks:
                for i in range(3):
                    tasks.start_soon(client, i)
    assert sorted(replies, key=str) == ["429", None, None]


async def test_more_bytes_than_there_is_room_for_are_refused_until_some_are_answered(
    bus: Bus,
) -> None:
    """Forty requests of 8 MiB for each of five endpoints were held before."""
    release, told = anyio.Event(), list[str | None]()
    large = b'{"x": 1}' + b" " * 200_000

    async def wait(question: Question) -> Answer:
        if question.x:
            await release.wait()
        return Answer(y=1)

    async def client() -> None:
        reply = await ask(bus, large)
        told.append(reply.headers.get(SERVICE_ERROR))
        if told[0] is not None:  # the last of three; the others are held
            assert orjson.loads((await ask(bus, b'{"x": 0}')).data) == {"y": 1}  # small ones pass
            release.set()

    async with served(bus, handle=wait, max_bytes=500_000):
        with fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(client)
        assert told.count(None) == 2
        assert "CWT_REQUESTS_MAX_BYTES" in str(told[0])
        assert (await ask(bus, large)).headers.get(SERVICE_ERROR) is None


async def test_stopping_service_answers_received_requests(bus: Bus) -> None:
    started, release, replies = anyio.Event(), anyio.Event(), list[bytes]()

    async def wait(question: Question) -> Answer:
        started.set()
        await release.wait()
        return Answer(y=question.x)

    async def client() -> None:
        replies.append((await ask(bus, b'{"x": 7}')).data)

    async def release_when_started() -> None:
        await started.wait()
        release.set()

    with fail_after(5):
        async with anyio.create_task_group() as tasks, served(bus, handle=wait):
            tasks.start_soon(client)
            await started.wait()
            tasks.start_soon(release_when_started)
    assert [orjson.loads(data) for data in replies] == [{"y": 7}]


async def test_message_without_reply_subject_is_ignored(bus: Bus) -> None:
    async with served(bus):
        await bus.publish("calc.double", b'{"x": 1}')
        assert orjson.loads((await ask(bus, b'{"x": 2}')).data) == {"y": 4}


async def test_a_reply_larger_than_the_server_takes_is_refused_with_the_numbers(
    tmp_path: Path,
) -> None:
    async def large(question: Question) -> Text:
        return Text(text="x" * question.x)

    contract = Contract(subject="calc.large", request=Question, reply=Text)
    async with (
        start_server(tmp_path / "nats", max_payload=65_536) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
        serve_endpoints(bus, IDENTITY, [Endpoint(contract=contract, handle=large)], logger("test")),
    ):
        small = await bus.request("calc.large", b'{"x": 1000}', timeout_s=5)
        refused = await bus.request("calc.large", b'{"x": 70000}', timeout_s=5)
    assert len(small.data) > 1000
    error = orjson.loads(refused.data)["error"]
    assert error["code"] == "payload_too_large"
    assert error["detail"]["limit"] == 65_536 - 4096
    assert "msgpack" in error["message"]


async def test_a_large_reply_in_msgpack_is_kept_and_the_reply_says_where(bus: Bus) -> None:
    async def large(question: Question) -> Text:
        return Text(text="x" * question.x)

    contract = Contract(subject="calc.large", request=Question, reply=Text)
    size = bus.max_message_bytes + 1
    await bus.log.declare(REPLIES, update=True)
    async with serve_endpoints(
        bus, IDENTITY, [Endpoint(contract=contract, handle=large)], logger("test")
    ):
        headers = {ACCEPT: "application/msgpack"}
        told = await bus.request("calc.large", b'{"x": %d}' % size, headers, timeout_s=10)
    found = decode(StoredReply, told.data, ContentType.MSGPACK).object
    kept = await (await bus.log.objects(found.bucket)).get(found.name)
    assert kept is not None
    assert len(kept) == found.size
    assert hashlib.sha256(kept).hexdigest() == found.sha256
    assert decode(Text, kept, ContentType.MSGPACK, max_bytes=None).text == "x" * size


async def test_only_so_many_large_replies_are_made_at_once_and_small_ones_pass(bus: Bus) -> None:
    """All that were computed waited for the store, up to forty of 512 MiB."""
    await bus.log.declare(REPLIES, update=True)
    size, under_way, most = bus.max_message_bytes + 1, 0, 0

    async def large(question: Question) -> Text:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.wait_all_tasks_blocked()
        under_way -= 1
        return Text(text="x" * question.x)

    contract = Contract(subject="calc.large", request=Question, reply=Text)
    served_one = Endpoint(
        contract=contract, handle=large, reply_numbers=lambda question: question.x
    )
    admission = Admission()

    async def ask_for(x: int) -> None:
        headers = {ACCEPT: "application/msgpack"}
        told = await bus.request("calc.large", b'{"x": %d}' % x, headers, timeout_s=20)
        assert SERVICE_ERROR not in told.headers

    async with serve_endpoints(bus, IDENTITY, [served_one], logger("test"), admission):
        async with anyio.create_task_group() as tasks:
            for _ in range(LARGE_REPLIES + 2):
                tasks.start_soon(ask_for, size)
        assert most == LARGE_REPLIES
        async with AsyncExitStack() as held:
            for _ in range(LARGE_REPLIES):
                await held.enter_async_context(admission.reply_slot(large=True))
            await ask_for(10)


async def test_only_so_many_requests_are_read_at_once(bus: Bus) -> None:
    """Thirty of 8 MB in JSON took a worker 1.7 GB."""
    reading, go = [], threading.Event()

    class Slow(Question):
        @field_validator("x")
        @classmethod
        def _read(cls, x: int) -> int:
            reading.append(x)
            assert go.wait(30)
            return x

    contract = Contract(subject="calc.double", request=Slow, reply=Answer)
    one = Endpoint(contract=contract, handle=double, off_loop=True)
    async with (
        serve_endpoints(bus, IDENTITY, [one], logger("test")),
        anyio.create_task_group() as tasks,
    ):
        for x in (1, 2):
            tasks.start_soon(ask, bus, b'{"x": %d}' % x)
        try:
            with fail_after(20):
                taken = 0
                while taken < 2 or not reading:
                    stats = await bus.request("$SRV.STATS.calc", b"", timeout_s=5)
                    taken = orjson.loads(stats.data)["endpoints"][0]["num_requests"]
                await anyio.wait_all_tasks_blocked()
            assert len(reading) == 1
        finally:
            go.set()
    assert sorted(reading) == [1, 2]


@pytest.mark.parametrize(("size", "in_thread"), [(0, False), (SMALL_BYTES, True)])
async def test_a_large_request_is_read_in_a_thread_by_every_endpoint(
    bus: Bus, size: int, *, in_thread: bool
) -> None:
    """The event loop stood still while a few megabytes were read."""
    readers: list[int] = []

    class Watched(Question):
        @field_validator("x")
        @classmethod
        def _watch(cls, x: int) -> int:
            readers.append(threading.get_ident())
            return x

    contract = Contract(subject="calc.double", request=Watched, reply=Answer)
    one = Endpoint(contract=contract, handle=double)
    async with serve_endpoints(bus, IDENTITY, [one], logger("test")):
        await ask(bus, b'{"x": 1' + b" " * size + b"}")
    assert (readers != [threading.get_ident()]) is in_thread


async def test_nothing_is_held_of_a_request_that_was_refused(bus: Bus) -> None:
    """Not until the collector comes, which large requests do not bring along."""
    read = []

    class Strict(Question):
        @field_validator("x")
        @classmethod
        def _refuse(cls, x: int) -> int:
            numbers = np.full(1000, x)
            read.append(weakref.ref(numbers))
            raise ValueError("is refused")

    contract = Contract(subject="calc.double", request=Strict, reply=Answer)
    one = Endpoint(contract=contract, handle=double, off_loop=True)
    gc.disable()
    try:
        async with serve_endpoints(bus, IDENTITY, [one], logger("test")):
            for _ in range(3):
                assert SERVICE_ERROR in (await ask(bus, b'{"x": 1}')).headers
            assert [each() is None for each in read[:2]] == [True, True]
    finally:
        gc.enable()


async def test_a_large_reply_that_is_not_kept_is_refused_with_what_to_do(bus: Bus) -> None:
    async def large(question: Question) -> Text:
        return Text(text="x" * question.x)

    contract = Contract(subject="calc.large", request=Question, reply=Text)
    body = b'{"x": %d}' % (bus.max_message_bytes + 1)
    async with serve_endpoints(
        bus, IDENTITY, [Endpoint(contract=contract, handle=large)], logger("test")
    ):
        told = await bus.request("calc.large", body, {ACCEPT: "application/msgpack"}, timeout_s=10)
    assert told.headers[SERVICE_ERROR_CODE] == "503"
    assert "float32" in told.headers[SERVICE_ERROR]


async def test_a_reply_that_cannot_fit_is_refused_before_any_work(bus: Bus) -> None:
    worked = []

    async def work(question: Question) -> Answer:
        worked.append(question)
        return Answer(y=1)

    async with served(bus, handle=work, reply_numbers=lambda question: question.x):
        refused = orjson.loads((await ask(bus, b'{"x": 10000000}')).data)
        assert (await ask(bus, b'{"x": 10}')).data == b'{"y":1}'
    assert refused["error"]["code"] == "payload_too_large"
    assert len(worked) == 1
