"""Limits of keys, and of addresses without one."""

from __future__ import annotations

import re

import anyio
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwt_gateway.authentication import Authentication, KeyGuard
from cwt_gateway.keys import Grant, KeyRing
from cwt_gateway.problems import PROBLEM_TYPE
from cwt_gateway.rates import (
    MAX_ADDRESSES,
    AddressGuard,
    RateLimits,
    Rates,
    network_of,
)
from cwt_runtime.storage.keys import digest_of
from cwt_runtime.token_bucket import TokenBucket
from cwt_schemas.access import KeyRecord, Role
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

AMPLE = {"requests_per_minute": 1000, "bytes_per_minute": 10**9, "requests_at_a_time": 1000}


class Ring(KeyRing):
    """Knows every key that begins with ``cwt_``."""

    def __init__(self) -> None:
        super().__init__()
        self._grants: dict[str, Grant] = {}

    def of_key(self, key: str) -> Grant:
        record = KeyRecord(
            name="k", role=Role.READER, user="reader", digest=digest_of(key), created_ns=0
        )
        return self._grants.setdefault(key, Grant(record=record, revision=1))


class NoSessions:
    def read(self, token: str) -> Authentication | None:
        del token
        return None


def guarded(app: ASGIApp, **limits: int) -> KeyGuard:
    return KeyGuard(app, Ring(), NoSessions(), RateLimits(Rates(**{**AMPLE, **limits})))


def client_of(app: ASGIApp, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def echoes(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body)(scope, receive, send)


def left(reply: httpx.Response) -> dict[str, int]:
    """Return what is left of each limit."""
    found = re.findall(r'"(\w+)";r=(\d+)', reply.headers["RateLimit"])
    return {name: int(count) for name, count in found}


def key(name: str) -> dict[str, str]:
    return {"X-API-Key": f"cwt_{name}"}


def test_a_bucket_gives_its_quota_and_then_what_comes_back() -> None:
    bucket = TokenBucket(120, 0.0)
    for _ in range(120):
        assert bucket.wait_s(1, 0.0) == 0
        bucket.take(1, 0.0)
    assert bucket.wait_s(1, 0.0) == 0.5
    assert bucket.wait_s(1, 0.5) == 0
    bucket.take(1, 0.5)
    bucket.take(60, 0.5)  # overdrawn
    assert bucket.wait_s(0, 0.5) == 30
    assert bucket.wait_s(0, 30.5) == 0
    assert bucket.level(10_000.0) == 120


async def test_requests_beyond_the_limit_of_their_key_are_refused_and_others_are_not() -> None:
    async with client_of(guarded(echoes, requests_per_minute=3)) as client:
        first = await client.post("/x", headers=key("a"))
        assert '"requests";q=3;w=60' in first.headers["RateLimit-Policy"]
        assert left(first)["requests"] == 2
        for _ in range(2):
            assert (await client.post("/x", headers=key("a"))).status_code == 200
        refused = await client.post("/x", headers=key("a"))
        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
        assert refused.headers["Content-Type"] == PROBLEM_TYPE
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert left(refused)["requests"] == 0
        assert "3 requests per minute" in refused.json()["detail"]
        assert (await client.post("/x", headers=key("b"))).status_code == 200


async def test_bytes_of_both_directions_count_and_the_request_after_too_many_is_refused() -> None:
    async with client_of(guarded(echoes, bytes_per_minute=1000)) as client:
        reply = await client.post("/x", headers=key("a"), content=bytes(300))
        assert reply.status_code == 200
        # The header is sent before the body of the reply.
        assert 699 <= left(reply)["bytes"] <= 701
        assert (await client.post("/x", headers=key("a"), content=bytes(300))).is_success
        refused = await client.post("/x", headers=key("a"))
        assert refused.status_code == 429
        assert 10 <= int(refused.headers["Retry-After"]) <= 12


async def test_requests_at_a_time_are_limited_and_one_that_ends_makes_room() -> None:
    started, end = anyio.Event(), anyio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await end.wait()
        await echoes(scope, receive, send)

    async with client_of(guarded(waits, requests_at_a_time=1)) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: client.post("/x", headers=key("a")))
            with fail_after(5):
                await started.wait()
            refused = await client.post("/x", headers=key("a"))
            assert "1 concurrent requests" in refused.json()["detail"]
            end.set()
        assert (await client.post("/x", headers=key("a"))).status_code == 200


async def test_frames_beyond_the_limit_are_read_later() -> None:
    read_s: list[float] = []

    async def reads(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] == "websocket.receive":
            read_s.append(anyio.current_time())

    frames: list[Message] = [{"type": "websocket.receive", "text": "x"} for _ in range(3)]
    frames.append({"type": "websocket.disconnect"})

    async def receive() -> Message:
        return frames.pop(0)

    async def send(_message: Message) -> None:
        pytest.fail("nothing is sent")

    # 20 a second come back; the opening and one frame are within the quota.
    scope = {
        "type": "websocket",
        "path": "/ws",
        "headers": [(b"x-api-key", b"cwt_a")],
        "query_string": b"",
    }
    app = guarded(reads, requests_per_minute=1200)
    with fail_after(20):
        for _ in range(1199):
            frames.insert(0, {"type": "websocket.receive", "text": "x"})
        began_s = anyio.current_time()
        await app(scope, receive, send)
    assert len(read_s) == 1202
    # 1203 were counted: three had to come back.
    assert read_s[-1] - began_s >= 0.14


async def test_public_and_refused_requests_are_within_the_limits_of_their_address() -> None:
    app = guarded(echoes, requests_per_minute=3)
    async with client_of(app) as client, client_of(app, "192.0.2.2") as other:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/x")).status_code == 401
        assert left(await client.get("/x", headers={"X-API-Key": "wrong"}))["requests"] == 0
        for path in ("/livez", "/x"):
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
            assert "more than 3 requests per minute from this address" in refused.json()["detail"]
        assert (await client.get("/x", headers=key("a"))).status_code == 200
        assert (await other.get("/livez")).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
async def test_without_keys_other_machines_are_limited_and_this_one_is_not(address: str) -> None:
    app = AddressGuard(echoes, RateLimits(Rates(**{**AMPLE, "requests_per_minute": 1})))
    async with client_of(app, address) as local, client_of(app) as remote:
        assert [(await remote.get("/x")).status_code for _ in range(2)] == [200, 429]
        replies = [await local.get("/x") for _ in range(3)]
    assert [each.status_code for each in replies] == [200, 200, 200]
    assert "RateLimit" not in replies[0].headers


async def test_the_number_of_addresses_that_are_counted_is_limited() -> None:
    limits = RateLimits(Rates(**{**AMPLE, "requests_per_minute": 1}))
    app = KeyGuard(echoes, Ring(), NoSessions(), limits)
    async with client_of(app) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/livez")).status_code == 429
        for number in range(MAX_ADDRESSES):
            limits.usage_of(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network
