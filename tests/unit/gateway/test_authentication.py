"""Keys and sessions at the door of the gateway."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import jwt
import pytest

from cwt_gateway.authentication import SESSION_COOKIE, Authentication
from cwt_gateway.keys import Grant, KeyRing
from cwt_gateway.sessions import SESSION_S, SIGN_IN_S, Sessions
from cwt_runtime.bus import Bucket
from cwt_runtime.storage.keys import add_key, list_keys, revoke_key
from cwt_schemas import storage
from cwt_schemas.access import Role
from cwt_schemas.errors import Conflict, NotFound
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.unit.gateway.conftest import gateway

pytestmark = pytest.mark.anyio

SESSION = "/api/v1/session"
NOW_S = 2_000_000_000
PASSWORDS = {user: f"of-{user}-".ljust(48, "x") for user in ("reader", "analyst")}


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    for user, password in PASSWORDS.items():
        (tmp_path / user).write_text(password + "\n")
    return tmp_path


@pytest.fixture
async def keys(bus: MemoryBus) -> Bucket:
    return await bus.log.bucket(storage.KV_KEYS)


@asynccontextmanager
async def ring_of(bus: MemoryBus) -> AsyncIterator[KeyRing]:
    ring = KeyRing()
    async with anyio.create_task_group() as tasks:
        await tasks.start(ring.follow, bus.log)
        yield ring
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def granted(
    bus: MemoryBus, keys: Bucket, **options: Any
) -> AsyncIterator[tuple[KeyRing, Grant]]:
    await add_key(keys, "lab", Role.READER, "reader", **options)
    async with ring_of(bus) as ring:
        grant = ring.of_name("lab")
        assert grant is not None
        yield ring, grant


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_names_of_keys_are_unique_and_a_key_is_found_by_its_text_alone(
    bus: MemoryBus, keys: Bucket
) -> None:
    key = await add_key(keys, "lab", Role.READER, "reader")
    with pytest.raises(Conflict, match="lab"):
        await add_key(keys, "lab", Role.OPERATOR, "operator")
    (record,) = await list_keys(keys)
    assert (record.name, record.role, record.user) == ("lab", "reader", "reader")
    async with ring_of(bus) as ring:
        assert ring.of_key(key) is ring.of_name("lab")
        for wrong in (record.digest, key[:-1], key + "x", key.lower(), "lab", ""):
            assert ring.of_key(wrong) is None
    await revoke_key(keys, "lab")
    with pytest.raises(NotFound, match="lab"):
        await revoke_key(keys, "lab")


async def test_what_a_key_grants_ends_when_it_is_revoked_replaced_or_expired(
    bus: MemoryBus, keys: Bucket
) -> None:
    for end in ("revoked", "replaced"):
        async with granted(bus, keys) as (ring, grant):
            assert grant.fault is None
            if end == "revoked":
                await revoke_key(keys, "lab")
            else:
                await add_key(keys, "lab", Role.READER, "reader", replace=True)
            with fail_after(5):
                assert "was revoked" in await grant.ended()
            assert ring.of_name("lab") is not grant
            await keys.delete("lab")
    async with granted(bus, keys, expires_ns=time.time_ns() + 50_000_000) as (_, grant):
        with fail_after(5):
            assert "expired on" in await grant.ended()


async def test_invalid_key_value_grants_nothing(bus: MemoryBus, keys: Bucket) -> None:
    key = await add_key(keys, "lab", Role.READER, "reader")
    entry = await keys.get("lab")
    assert entry is not None
    await keys.put("other", entry.value)  # a record under another name
    await keys.put("garbage", b"?")
    async with ring_of(bus) as ring:
        assert ring.of_name("other") is ring.of_name("garbage") is None
        await keys.put("lab", b"?")
        with fail_after(5):
            while ring.of_key(key) is not None:
                await anyio.lowlevel.checkpoint()


async def test_a_session_is_read_by_every_gateway_and_ends_with_its_key(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    now_s = int(time.time())
    async with granted(bus, keys) as (ring, grant), ring_of(bus) as other:
        token, expires_s = Sessions(ring, passwords).issue(
            Authentication(grant=grant, signed_in_s=now_s - 60), now_s
        )
        read = Sessions(other, passwords).read(token)
        assert read is not None
        assert (read.grant.record, read.signed_in_s) == (grant.record, now_s - 60)
        assert expires_s == now_s + SESSION_S
        await add_key(keys, "lab", Role.READER, "reader", replace=True)
        with fail_after(5):
            await grant.ended()
        assert Sessions(ring, passwords).read(token) is None


async def test_a_session_lasts_no_longer_than_its_key_and_a_working_day(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    async with granted(bus, keys, expires_ns=(NOW_S + 100) * 10**9) as (ring, grant):
        sessions = Sessions(ring, passwords)
        fresh = Authentication(grant=grant, signed_in_s=NOW_S)
        assert sessions.issue(fresh, NOW_S)[1] == NOW_S + 100
        late = Authentication(grant=grant, signed_in_s=NOW_S - SIGN_IN_S + 7)
        assert sessions.issue(late, NOW_S)[1] == NOW_S + 7


async def test_a_session_that_no_gateway_made_is_refused(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    now_s = int(time.time())
    async with granted(bus, keys) as (ring, grant):
        sessions = Sessions(ring, passwords)
        signed_in = Authentication(grant=grant, signed_in_s=now_s)
        token, _ = sessions.issue(signed_in, now_s)
        claims = jwt.decode(token, options={"verify_signature": False})
        header = {"kid": "lab"}
        forged = [
            jwt.encode(claims, "", "none", headers=header),
            jwt.encode(claims, PASSWORDS["reader"], "HS256", headers=header),
            jwt.encode(claims, grant.record.digest, "HS256", headers=header),
            token[:-4] + "AAAA",
            sessions.issue(signed_in, now_s - SESSION_S - 1)[0],
            "", "a.b.c", "cwt_x",
        ]  # fmt: skip
        assert sessions.read(token) is not None
        assert [sessions.read(each) for each in forged] == [None] * len(forged)


async def test_a_browser_signs_in_continues_and_signs_out(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    key = await add_key(keys, "lab", Role.READER, "reader")
    async with gateway(bus, http_users=str(passwords)) as client:
        assert (await client.post(SESSION)).status_code == 401
        begun = await client.post(SESSION, headers=bearer(key))
        assert begun.json().items() >= {"name": "lab", "role": "reader", "user": "reader"}.items()
        cookie = begun.headers["Set-Cookie"]
        assert f"{SESSION_COOKIE}={begun.json()['token']}" in cookie
        for attribute in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
            assert attribute in cookie
        assert "Secure" not in cookie
        assert begun.headers["Cache-Control"] == "no-store"
        assert (await client.post(SESSION)).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.delete(SESSION)).status_code == 204
        assert (await client.get("/metrics")).status_code == 401


async def test_a_cookie_of_a_page_behind_tls_is_sent_over_tls_alone(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    key = await add_key(keys, "lab", Role.READER, "reader")
    async with gateway(bus, http_users=str(passwords)) as client:
        headers = bearer(key) | {"Origin": f"https://{client.base_url.netloc.decode()}"}
        assert "Secure" in (await client.post(SESSION, headers=headers)).headers["Set-Cookie"]


async def test_keys_are_not_taken_from_addresses_or_cookies_nor_sessions_from_addresses(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    key = await add_key(keys, "lab", Role.READER, "reader")
    async with gateway(bus, http_users=str(passwords)) as client:
        token = (await client.post(SESSION, headers=bearer(key))).json()["token"]
        client.cookies.clear()
        for query in (f"session={token}", f"key={key}", f"api_key={key}"):
            assert (await client.get(f"/metrics?{query}")).status_code == 401
        refused = await client.get("/metrics", headers={"Cookie": f"{SESSION_COOKIE}={key}"})
        assert refused.status_code == 401
        for headers in (bearer(token), {"X-API-Key": token}, {"X-API-Key": key}):
            assert (await client.get("/metrics", headers=headers)).status_code == 200
        # A wrong key is refused, also along with a cookie.
        wrong = bearer("cwt_wrong") | {"Cookie": f"{SESSION_COOKIE}={token}"}
        assert (await client.get("/metrics", headers=wrong)).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_page_of_another_origin_cannot_use_the_cookie(
    bus: MemoryBus, keys: Bucket, passwords: Path, headers: dict[str, str]
) -> None:
    key = await add_key(keys, "lab", Role.READER, "reader")
    async with gateway(bus, http_users=str(passwords)) as client:
        await client.post(SESSION, headers=bearer(key))
        for method, path in (("POST", SESSION), ("DELETE", "/api/v1/streams/icu")):
            refused = await client.request(method, path, headers=headers)
            assert refused.json()["code"] == "foreign_origin"
        form = {**headers, "Content-Type": "text/plain"}
        assert (await client.post("/api/v1/jobs", headers=form)).status_code == 403


async def test_a_page_of_an_allowed_origin_sends_its_key_and_reads_why_it_is_refused(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    lab = "https://lab.example.org"
    key = await add_key(keys, "lab", Role.READER, "reader")
    async with gateway(bus, http_users=str(passwords), http_cors_origins=lab) as client:
        ask = {
            "Origin": lab,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        allowed = await client.options(SESSION, headers=ask)
        assert allowed.headers["Access-Control-Allow-Headers"] == "authorization"
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        for headers, status in ((bearer(key), 200), ({}, 401)):
            reply = await client.post(SESSION, headers=headers | {"Origin": lab})
            client.cookies.clear()
            assert reply.status_code == status
            assert reply.headers["Access-Control-Allow-Origin"] == lab


async def test_gateway_without_keys_ignores_keys(bus: MemoryBus) -> None:
    async with gateway(bus) as client:
        assert (await client.get("/metrics", headers=bearer("cwt_any"))).status_code == 200
        refused = await client.post(SESSION)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_user_without_password_is_reported_and_refused(
    bus: MemoryBus, keys: Bucket, passwords: Path
) -> None:
    key = await add_key(keys, "lab", Role.OPERATOR, "operator")
    async with gateway(bus, http_users=str(passwords)) as client:
        for method, path in (("POST", SESSION), ("GET", "/api/v1/streams")):
            reply = await client.request(method, path, headers=bearer(key))
            assert reply.status_code == 503
            assert "operator" in reply.json()["detail"]
