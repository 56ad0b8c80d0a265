"""Keys over HTTP: what each of them may do, and how they end.

Everything is seen from outside, with the accounts of `deploy/nats` and all services as processes.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cwt_gateway.app import ROUTERS, SOCKETS
from cwt_gateway.authentication import PUBLIC
from cwt_runtime.accounts.users import analyst, device, reader
from cwt_runtime.storage.keys import add_key
from cwt_schemas import storage
from cwt_schemas.access import Role
from tests.accounts import AccountsServer
from tests.deadlines import fail_after
from tests.system import scenario
from tests.system.command import run
from tests.system.conftest import RunningSystem
from tests.system.gateway import RunningGateway, gateway_of
from tests.system.test_users import secured_system

pytestmark = [pytest.mark.anyio, pytest.mark.system]

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
JSON = {"Content-Type": "application/json"}
ROLES = {
    "icu": Role.DEVICE, "reader": Role.READER, "analyst": Role.ANALYST, "operator": Role.OPERATOR,
}  # fmt: skip
USERS = (
    device("icu", (scenario.STREAM,)), reader("reader"), reader("ward", (scenario.STREAM,)),
    reader("other", ("other",)), analyst("analyst"),
)  # fmt: skip
X = [0.0, 1.0, 0.0, -1.0] * 16
PAIR = {"signal1": X, "signal2": X[::-1], "dt": 0.25, "significance_level": None}
STREAM = f"/api/v1/streams/{scenario.STREAM}"
DEFINITION = orjson.loads(scenario.definition().model_dump_json(exclude={"schema_id"}))
CHUNK = {"schema": "signal.chunk/1", "epoch": "h", "first_sample": 0, "samples": [[0, 1]]}
#: A request for each route, and what of it is in the path of the page.
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "POST /api/v1/wavelet/cwt": ("", {"json": {"data": X, "dt": 0.25}}),
    "POST /api/v1/wavelet/xwt": ("", {"json": {"signal1": X, "signal2": X, "dt": 0.25}}),
    "POST /api/v1/wavelet/wct": ("", {"json": PAIR}),
    "POST /api/v1/wavelet/pwct": ("", {"json": {**PAIR, "given": [X[::-1]]}}),
    "POST /api/v1/wavelet/mwct": ("", {"json": {"target": X, "given": [X[::-1]], "dt": 0.25}}),
    "POST /api/v1/wavelet/significance": (
        "", {"json": {"lag1": [0.1, 0.1], "n": 32, "dt": 0.25, "mc_count": 10}},
    ),
    "GET /api/v1/backends/": ("", {}),
    "GET /api/v1/backends/{name}": ("/api/v1/backends/sequential", {}),
    "GET /api/v1/hardware/detect": ("", {}),
    "POST /api/v1/benchmark": ("", {"json": {"signal_length": 32, "mc_count": 1, "backends": []}}),
    "POST /api/v1/jobs": ("", {"json": {"tasks": [{"type": "cwt", "data": X, "dt": 0.25}]}}),
    "GET /api/v1/jobs": ("", {}),
    "GET /api/v1/jobs/{job_id}": ("/api/v1/jobs/none", {}),
    "DELETE /api/v1/jobs/{job_id}": ("/api/v1/jobs/none", {}),
    "POST /api/v1/jobs/{job_id}/retry": ("/api/v1/jobs/none/retry", {}),
    "GET /api/v1/jobs/{job_id}/results/{task}": ("/api/v1/jobs/none/results/0", {}),
    "GET /api/v1/jobs/{job_id}/events": ("/api/v1/jobs/none/events", {}),
    "GET /api/v1/streams": ("", {}),
    "PUT /api/v1/streams/{name}": (STREAM, {"json": DEFINITION}),
    "GET /api/v1/streams/{name}": (STREAM, {}),
    "POST /api/v1/streams/{name}/chunks": (f"{STREAM}/chunks", {"json": CHUNK}),
    "POST /api/v1/streams/{name}/recording": (
        f"{STREAM}/recording?filename=a.csv&fs_hz=100",
        {"content": b"x,y\n0,1\n1,0\n", "headers": {"Content-Type": "application/octet-stream"}},
    ),
    "POST /api/v1/streams/{name}/markers": (
        f"{STREAM}/markers", {"json": {"text": "here", "epoch": "h", "first_sample": 0}},
    ),
    "GET /api/v1/streams/{name}/results": (f"{STREAM}/results", {}),
    "GET /api/v1/streams/{name}/events": (f"{STREAM}/events", {}),
    "GET /api/v1/streams/{name}/markers": (f"{STREAM}/markers", {}),
    "GET /api/v1/streams/{name}/samples": (f"{STREAM}/samples", {}),
    "GET /api/v1/streams/{name}/export": (f"{STREAM}/export?format=npz", {}),
    "GET /metrics": ("", {}),
    "POST /api/v1/session": ("", {}),
    "DELETE /api/v1/session": ("", {}),
    # Last, since they end the stream.
    "DELETE /api/v1/streams/{name}/data": (f"{STREAM}/data", {}),
    "DELETE /api/v1/streams/{name}": (STREAM, {}),
}  # fmt: skip
SOCKET_PATHS = {
    "WS /ws/streams/{name}": f"/ws/streams/{scenario.STREAM}",
    "WS /ws/stream/wct": "/ws/stream/wct",
}


@asynccontextmanager
async def keyed_gateway(
    folder: Path, **variables: str
) -> AsyncIterator[tuple[AccountsServer, RunningSystem, RunningGateway]]:
    """Run the system with a gateway that needs keys."""
    async with secured_system(folder, USERS, may_be_refused=True) as (server, system):
        passwords = str(server.folder / "passwords")
        system.environment = {
            **server.environment("gateway"),
            "CWT_HTTP_PORT": "0",
            "CWT_HTTP_USERS": passwords,
            **variables,
        }
        yield server, system, await gateway_of(system)


async def new_key(system: RunningSystem, user: str, role: Role, **options: Any) -> str:
    return await add_key(
        await system.bus.log.bucket(storage.KV_KEYS), f"for-{user}", role, user, **options
    )


@asynccontextmanager
async def client_of(gateway: RunningGateway, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        # The gateway has read a key milliseconds after it was added.
        with fail_after(10):
            while (await client.get("/metrics")).status_code == 401:
                pass
        yield client


@asynccontextmanager
async def socket_of(
    gateway: RunningGateway, path: str, key: str | None
) -> AsyncIterator[ClientConnection]:
    url = gateway.url.replace("http://", "ws://") + path
    headers = {"X-API-Key": key} if key else {}
    async with connect(url, additional_headers=headers, ping_interval=None) as socket:
        yield socket


async def receive(socket: ClientConnection) -> dict[str, Any]:
    with fail_after(30):
        message: dict[str, Any] = orjson.loads(await socket.recv())
    return message


def documented() -> dict[str, set[str]]:
    """Return the users of the page for each request."""
    table = re.findall(r"^\| `([A-Z]+ /.*?)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {
        request: {user for user, mark in zip(ROLES, marks.split("|"), strict=True) if mark.strip()}
        for request, marks in table
    }


def test_the_page_and_this_file_name_every_request_that_needs_a_key() -> None:
    routes = {
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path not in PUBLIC | {"/static/{name}"}
        for method in route.methods or ()
    }
    sockets = {
        f"WS {route.path}"
        for router in SOCKETS
        for route in router.routes
        if isinstance(route, APIWebSocketRoute)
    }
    assert set(REQUESTS) == routes
    assert set(SOCKET_PATHS) == sockets
    assert set(documented()) == routes | sockets


async def test_each_role_may_do_over_http_what_the_page_says(tmp_path: Path) -> None:
    expected = documented()
    async with keyed_gateway(tmp_path) as (_server, system, gateway):
        keys = {user: await new_key(system, user, role) for user, role in ROLES.items()}
        async with client_of(gateway, keys["operator"]) as operator:
            assert (await operator.put(STREAM, json=DEFINITION)).is_success
        allowed: dict[str, set[str]] = {request: set() for request in expected}
        for user, key in keys.items():
            async with client_of(gateway, key) as client:
                for request, (path, options) in REQUESTS.items():
                    method, _, own = request.partition(" ")
                    reply = await client.request(method, path or own, **options)
                    assert reply.status_code not in {401, 429, 503, 504}, (
                        user,
                        request,
                        reply.text,
                    )
                    if reply.status_code == 403:
                        assert reply.json()["code"] == "forbidden", (user, request, reply.text)
                    else:
                        allowed[request].add(user)
        await _put_back(gateway, keys["operator"])
        for user, key in keys.items():
            for request, path in SOCKET_PATHS.items():
                async with socket_of(gateway, path, key) as socket:
                    if await _is_served(socket, path):
                        allowed[request].add(user)
        assert allowed == expected
        assert gateway.faults == []


async def _put_back(gateway: RunningGateway, key: str) -> None:
    async with client_of(gateway, key) as operator:
        assert (await operator.put(STREAM, json=DEFINITION)).is_success


async def _is_served(socket: ClientConnection, path: str) -> bool:
    try:
        if path == "/ws/stream/wct":
            await socket.send('{"type": "config", "dt": 0.25}')
            assert (await receive(socket))["type"] == "ack"
            await socket.send(orjson.dumps({"type": "data", "signal1": X, "signal2": X}).decode())
            reply = await receive(socket)
            assert reply["type"] == "result" or reply["code"] == "forbidden", reply
            return bool(reply["type"] == "result")
        await receive(socket)  # ack
        await socket.send('{"type": "ping"}')
        while (await receive(socket))["type"] != "pong":
            pass
    except ConnectionClosed as closed:
        return not reason_of(closed)
    return True


def reason_of(closed: ConnectionClosed) -> str:
    """Return why the gateway has refused a connection; it must have."""
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008, closed
    assert closed.rcvd.reason
    return closed.rcvd.reason


async def until_closed(socket: ClientConnection) -> tuple[list[dict[str, Any]], str]:
    """Return what comes until the gateway refuses the connection, and its reason."""
    messages: list[dict[str, Any]] = []
    while True:
        try:
            messages.append(await receive(socket))
        except ConnectionClosed as closed:
            return messages, reason_of(closed)


async def test_wrong_expired_and_revoked_keys_are_refused(tmp_path: Path) -> None:
    async with keyed_gateway(tmp_path) as (server, system, gateway):
        other = await gateway_of(system, "gateway-2")
        wrong = [
            {}, {"Authorization": "Bearer cwt_wrong"}, {"X-API-Key": "wrong"},
            {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}, {"X-API-Key": ""},
            {"Authorization": f"Bearer {server.password('reader')}"},
        ]  # fmt: skip
        async with gateway.client() as http:
            for headers in wrong:
                for path in ("/api/v1/streams", "/metrics", "/no/such/path"):
                    reply = await http.get(path, headers=headers)
                    assert (reply.status_code, reply.json()["code"]) == (401, "unauthorized")
                    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
            for path in ("/", "/health", "/livez", "/readyz", "/live", "/docs", "/openapi.json"):
                assert (await http.get(path)).status_code == 200, path
        for path in SOCKET_PATHS.values():
            for key in (None, "cwt_wrong"):
                with pytest.raises(InvalidStatus) as refused:
                    async with socket_of(gateway, path, key):
                        pass
                assert refused.value.response.status_code == 401
        operator = server.environment("operator")
        printed = await run("key", "add", "lab", "--role", "reader", "--expires", "30d",
                            variables=operator)  # fmt: skip
        key = printed.splitlines()[0]
        assert key.startswith("cwt_")
        assert "lab: reader, user reader" in await run("key", "list", variables=operator)
        bucket = await system.bus.log.bucket(storage.KV_KEYS)
        stored = await bucket.get("lab")
        assert stored is not None
        assert key.encode() not in stored.value
        soon = await new_key(system, "reader", Role.READER, expires_ns=time.time_ns() + 10**9)
        async with client_of(gateway, key) as http, client_of(other, key) as elsewhere:
            for client in (http, elsewhere):
                assert (await client.get("/api/v1/streams")).status_code == 200
            await run("key", "revoke", "lab", variables=operator)
            with fail_after(10):
                for client in (http, elsewhere):
                    while (reply := await client.get("/api/v1/streams")).status_code == 200:
                        pass
                    assert reply.status_code == 401
        async with gateway.client() as http:
            with fail_after(10):
                while (reply := await http.get("/metrics", headers={"X-API-Key": soon})).is_success:
                    pass
            assert "expired on" in reply.json()["detail"]
        done = (await run("audit", "lab", variables=operator)).splitlines()[1:]
        assert [line.split()[1:] for line in done] == [
            ["operator", action, "lab"] for action in ("key_added", "key_revoked")
        ]
        assert "no key is called lab" in await run("key", "revoke", "lab", code=1,
                                                   variables=operator)  # fmt: skip


async def test_requests_without_a_key_are_limited_by_address_and_keys_are_not(
    tmp_path: Path,
) -> None:
    limit = 200
    variables = {"CWT_HTTP_REQUESTS_PER_MINUTE": str(limit), "CWT_HTTP_PROXIES": "127.0.0.1"}
    async with (
        keyed_gateway(tmp_path, **variables) as (_server, system, gateway),
        client_of(gateway, await new_key(system, "reader", Role.READER)) as keyed,
        gateway.client() as http,
    ):
        # What a proxy appends is the last address.
        flooding = {"X-Forwarded-For": "198.51.100.7, 192.0.2.1"}
        with fail_after(30):
            while (reply := await http.get("/livez", headers=flooding)).is_success:
                pass
        assert (reply.status_code, reply.json()["code"]) == (429, "overloaded")
        assert int(reply.headers["Retry-After"]) >= 1
        others = [
            await http.get("/livez"),
            await http.get("/livez", headers={"X-Forwarded-For": "192.0.2.2"}),
            await keyed.get("/api/v1/streams", headers=flooding),
        ]
        assert [each.status_code for each in others] == [200, 200, 200]


async def test_a_reader_of_one_stream_follows_it_until_the_key_is_revoked(tmp_path: Path) -> None:
    samples = scenario.signal(1000)
    expected = scenario.expected(samples)
    async with keyed_gateway(tmp_path) as (_server, system, gateway):
        keys = {user: await new_key(system, user, Role.READER) for user in ("ward", "other")}
        operator = await new_key(system, "operator", Role.OPERATOR)
        await _put_back(gateway, operator)
        async with client_of(gateway, operator) as http:
            for at in range(0, len(samples), scenario.CHUNK):
                chunk = {**CHUNK, "epoch": scenario.EPOCH, "first_sample": at,
                         "samples": samples[at : at + scenario.CHUNK].tolist()}  # fmt: skip
                assert (await http.post(f"{STREAM}/chunks", json=chunk)).status_code == 202
            mark = {"text": "here", "epoch": scenario.EPOCH, "first_sample": 0}
            assert (await http.post(f"{STREAM}/markers", json=mark)).status_code == 201
        path = f"/ws/streams/{scenario.STREAM}?from=1&include=results,events,markers,samples"
        async with socket_of(gateway, path, keys["ward"]) as socket:
            assert (await receive(socket))["samples_next"] is None
            assert (await receive(socket))["code"] == "forbidden"
            seqs, found = [], set[str]()
            while len(found) < len(expected) + 1:
                message = await receive(socket)
                seqs.append(message["seq"])
                found.add(message["result"]["id"] if message["type"] == "result" else "marker")
            assert found == {*expected, "marker"}
            assert seqs == sorted(seqs)
            bucket = await system.bus.log.bucket(storage.KV_KEYS)
            await bucket.delete("for-ward")
            assert "was revoked" in (await until_closed(socket))[1]
        async with socket_of(gateway, path, keys["other"]) as socket:
            shown, _ = await until_closed(socket)
            assert {each["type"] for each in shown} <= {"ack", "error"}
        async with client_of(gateway, keys["other"]) as http:
            assert (await http.get(f"{STREAM}/results")).status_code == 403
