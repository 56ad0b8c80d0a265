"""What a request passes before it reaches a route."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping

import httpx
import orjson
import pytest
from fastapi import FastAPI
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwt_gateway.guards import (
    BodyGuard,
    FaultGuard,
    HostGuard,
    OriginGuard,
    origin_allowed,
    stream_body,
)
from cwt_gateway.problems import PROBLEM_TYPE, handle_problems
from cwt_runtime.settings import ServiceSettings
from cwt_runtime.telemetry.logs import configure_logs, logger
from cwt_schemas.limits import MAX_PAYLOAD_BYTES

pytestmark = pytest.mark.anyio

LAB = "https://lab.example.org"
JSON = {"content-type": "application/json"}


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("reached")(scope, receive, send)


async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ZeroDivisionError("a secret")


async def asked(
    app: ASGIApp, headers: Mapping[str, str], method: str = "GET", host: str = "localhost:8000"
) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.request(method, "/", headers={"host": host, **headers})


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "192.0.2.7", "lab:80"],
)
async def test_the_gateway_answers_to_addresses_and_to_its_names(host: str) -> None:
    reply = await asked(HostGuard(answers, ("localhost", "lab")), {}, host=host)
    assert reply.text == "reached"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost@evil", ":"],
)
async def test_foreign_host_name_is_refused(host: str) -> None:
    reply = await asked(HostGuard(answers, ("localhost",)), {}, host=host)
    assert reply.status_code == 421
    assert reply.headers["content-type"] == PROBLEM_TYPE
    assert reply.json()["code"] == "wrong_host"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "http://localhost:8000"}, True),
        ({"origin": "HTTP://LOCALHOST:8000"}, True),
        ({"origin": LAB}, True),
        ({"origin": "http://localhost:9000"}, False),
        ({"origin": "http://localhost"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "https://lab.example.org.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
    ],
)
async def test_only_programs_own_pages_and_allowed_pages_change_anything(
    headers: dict[str, str], allowed: bool
) -> None:
    assert origin_allowed(Headers({"host": "localhost:8000", **headers}), (LAB,)) is allowed
    for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
        reply = await asked(OriginGuard(answers, (LAB,)), {**JSON, **headers}, method)
        assert reply.status_code == (200 if allowed else 403)
    assert (await asked(OriginGuard(answers, (LAB,)), headers)).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "Application/X-WWW-Form-Urlencoded", "multipart/form-data; boundary=x"]
)
async def test_what_a_form_can_send_is_refused(kind: str) -> None:
    reply = await asked(OriginGuard(answers, ()), {"content-type": kind}, "POST")
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")


async def test_a_socket_of_a_foreign_page_is_closed_before_it_opens() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"origin", b"http://evil.example")]
    scope = {"type": "websocket", "headers": headers}
    await OriginGuard(answers, ())(scope, receive, send)
    assert sent[0]["type"] == "websocket.close"
    assert sent[0]["code"] == 1008


def reading(held_max_bytes: int = MAX_PAYLOAD_BYTES, streamed: int | None = None) -> FastAPI:
    """An application that reads the bodies it is sent."""
    app = FastAPI()
    handle_problems(app)
    app.add_middleware(BodyGuard, held_max_bytes=held_max_bytes)

    @app.post("/")
    async def size(request: Request) -> Response:
        if streamed is not None:
            stream_body(request, streamed)
            return PlainTextResponse(str(sum([len(part) async for part in request.stream()])))
        return PlainTextResponse(str(len(await request.body())))

    return app


async def sent(app: ASGIApp, *parts: int, announced: bool = False) -> httpx.Response:
    """Send a body in parts of so many bytes, with or without its length."""

    async def content() -> AsyncIterator[bytes]:
        for part in parts:
            yield bytes(part)

    headers = {"content-length": str(sum(parts))} if announced else {}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post("/", content=content(), headers=headers)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_may_be_as_large_as_its_route_takes(announced: bool) -> None:
    for app, limit in ((reading(), MAX_PAYLOAD_BYTES), (reading(streamed=1000), 1000)):
        parts = (limit // 2, limit - limit // 2)
        assert (await sent(app, *parts, announced=announced)).text == str(limit)
        reply = await sent(app, *parts, 1, announced=announced)
        assert (reply.status_code, reply.json()["code"]) == (413, "payload_too_large")
        assert str(limit) in reply.json()["detail"]


async def test_bodies_that_are_held_at_the_same_time_share_the_memory() -> None:
    app = reading(held_max_bytes=1000)
    for _ in range(2):
        reply = await sent(app, 600, 600)
        assert (reply.status_code, reply.json()["code"]) == (429, "overloaded")
        assert reply.headers["retry-after"]
        assert (await sent(app, 500, 500)).text == "1000"
    assert (await sent(app, MAX_PAYLOAD_BYTES + 1)).status_code == 413
    assert (await sent(app, 600, 600)).status_code == 429
    assert (await sent(reading(held_max_bytes=1000, streamed=9000), 4000)).text == "4000"


async def test_client_that_disconnects_during_upload_is_not_an_error() -> None:
    log = io.StringIO()
    configure_logs(ServiceSettings(log_format="json"), log)

    async def leaves(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    async def untouched() -> dict[str, str]:
        raise AssertionError

    async def silent(_message: object) -> None:
        raise AssertionError

    await FaultGuard(leaves, logger("gateway"))({"type": "http"}, untouched, silent)
    assert log.getvalue() == ""


async def test_a_fault_is_answered_with_an_id_that_is_in_the_log() -> None:
    log = io.StringIO()
    configure_logs(ServiceSettings(log_format="json"), log)
    reply = await asked(FaultGuard(fails, logger("gateway")), {})
    assert (reply.status_code, reply.json()["code"]) == (500, "internal")
    record = orjson.loads(log.getvalue())
    assert record["id"] in reply.json()["detail"]
    assert "secret" in log.getvalue()
    assert "secret" not in reply.text


async def test_every_response_forbids_frames_and_guesses() -> None:
    for app in (answers, fails):
        reply = await asked(FaultGuard(app, logger("gateway")), {})
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
