"""Broken or hostile clients of the gateway are refused, and other clients are not affected."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.abc
import httpx
import orjson
import pytest

from tests.deadlines import fail_after
from tests.system.conftest import running_system
from tests.system.gateway import RunningGateway, gateway_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

CWT = "/api/v1/wavelet/cwt"
ASKED = b'{"data": [0, 1, 0, -1, 0, 1, 0, -1], "dt": 0.25}'
JSON = {"content-type": "application/json"}
MSGPACK = {"content-type": "application/msgpack"}
MIB = 1024**2
LAB = "https://lab.example.org"


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """A gateway that the tests of this module share; it has logged no fault at the end."""
    folder = tmp_path_factory.mktemp("system")
    environment = {"CWT_HTTP_CORS_ORIGINS": LAB}
    async with running_system(folder, workers=1, environment=environment) as system:
        found = await gateway_of(system)
        yield found
        assert found.faults == []


@pytest.fixture
async def http(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client; after the test another one is still answered."""
    async with gateway.client() as client:
        yield client
    async with gateway.client() as client:
        assert (await client.post(CWT, content=ASKED, headers=JSON)).status_code == 200


async def answer(gateway: RunningGateway, *pieces: bytes, end: bool = False) -> bytes:
    """Send bytes that no HTTP client would, and return all that comes until the connection ends."""
    received = b""
    with fail_after(60):
        async with gateway.connection() as connection:
            try:
                for piece in pieces:
                    await connection.send(piece)
                if end:
                    await connection.send_eof()
                while True:
                    received += await connection.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return received


def refused(reply: httpx.Response, status: int, code: str) -> bool:
    """Whether a reply is the problem that it should be."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    told = reply.json()
    assert (reply.status_code, told["status"], told["code"]) == (status, status, code), told
    return bool(told["detail"])


BAD_BODIES = {
    "deeply nested": b"[" * 500_000,
    "nested objects": b'{"a":' * 500_000,
    "no object": b"[1, 2]",
    "NaN": b'{"data": [NaN, 1], "dt": 1}',
    "Infinity": b'{"data": [1, Infinity], "dt": 1}',
    "huge exponent": b'{"data": [1e999, 1, 1, 1], "dt": 1}',
    "huge integer": b'{"data": [' + b"9" * 5000 + b', 1, 1, 1], "dt": 1}',
    "huge interval": b'{"data": [1, 2, 3, 4], "dt": ' + b"9" * 5000 + b"}",
    "half a string": b'{"data": "',
    "half a number": b'{"data": [1, 2',
    "NUL": b'{"data": [1, 2, 3, 4], "dt": 1}\x00',
    "lone surrogate": b'{"mother": "\\ud800", "data": [1, 2, 3, 4], "dt": 1}',
    "no UTF-8": b'{"mother": "\xff\xfe", "data": [1, 2, 3, 4], "dt": 1}',
    "empty": b"",
    "unknown fields": b"{" + b",".join(b'"f%d": 1' % i for i in range(100_000)) + b"}",
    "too many scales": b'{"data": [1, 2, 3, 4], "dt": 1, "dj": 1e-300}',
    "text for numbers": b'{"data": ["1", "2", "3", "4"], "dt": 1}',
}
BAD_PACKED = {
    "array claim": b"\xdd\xff\xff\xff\xff",
    "map claim": b"\xdf\xff\xff\xff\xff",
    "bytes claim": b"\xc6\xff\xff\xff\xff",
    "extension claim": b"\xc9\xff\xff\xff\xff\x01",
    "nested claims": b"\xdd\x00\x0f\xff\xff" * 1000,
    "deeply nested": b"\x91" * 500_000,
    "timestamp": b"\x81\xa4data\xd6\xff\x00\x00\x00\x00",
    "number for a key": b"\x81\x01\x02",
    "lying shape": b"\x81\xa4data\x83\xa5dtype\xa3<f8\xa5shape\x91\xcf"
    + b"\xff" * 8
    + b"\xa4data\xc4\x00",
    "object dtype": b"\x81\xa4data\x83\xa5dtype\xa2|O\xa5shape\x91\x01\xa4data\xc4\x08" + bytes(8),
    "a reply in the object store": b"\x81\xa6object\x80",
    "trailing bytes": b"\x80\x80",
}


#: Those with more of something than any request has.
TOO_MUCH = {"unknown fields", "nested objects", "deeply nested", "nested claims"}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_body_that_is_not_a_request_is_refused(http: httpx.AsyncClient, name: str) -> None:
    for path in (CWT, "/api/v1/wavelet/wct", "/api/v1/jobs", "/api/v1/benchmark"):
        if (name, path) == ("empty", "/api/v1/benchmark"):
            continue  # all its fields have defaults
        reply = await http.post(path, content=BAD_BODIES[name], headers=JSON)
        assert refused(reply, 413 if name in TOO_MUCH else 422, reply.json()["code"])
        assert len(reply.content) < 64 * 1024


@pytest.mark.parametrize("name", BAD_PACKED)
async def test_packed_bytes_that_are_no_request_are_refused(
    http: httpx.AsyncClient, name: str
) -> None:
    for path in (CWT, "/api/v1/jobs", "/api/v1/benchmark"):
        reply = await http.post(path, content=BAD_PACKED[name], headers=MSGPACK)
        assert refused(reply, 413 if name in TOO_MUCH else 422, reply.json()["code"])


async def test_the_last_of_duplicate_keys_counts(http: httpx.AsyncClient) -> None:
    body = b'{"dt": "no", "data": [0, 1, 0, -1, 0, 1, 0, -1], "dt": 0.25}'
    reply = await http.post(CWT, content=body, headers=JSON)
    assert reply.status_code == 200


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_before_all_of_it_came(
    http: httpx.AsyncClient, announced: bool
) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += MIB
            yield b" " * MIB

    headers = {**JSON, **({"content-length": str(64 * MIB)} if announced else {})}
    try:
        reply = await http.post(CWT, content=body(), headers=headers)
    except httpx.WriteError:
        return  # the gateway had closed the connection behind its refusal
    assert refused(reply, 413, "payload_too_large")


async def test_a_large_body_is_refused_before_it_is_sent(gateway: RunningGateway) -> None:
    head = (
        f"POST {CWT} HTTP/1.1\r\nHost: {gateway.host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {100 * MIB}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    received = await answer(gateway, head.encode())
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"payload_too_large" in received


def head(gateway: RunningGateway, *lines: str, request: str = f"POST {CWT} HTTP/1.1") -> bytes:
    """Return the head of a request with these header fields besides the usual ones."""
    usual = (request, f"Host: {gateway.host}", "Content-Type: application/json")
    return "\r\n".join((*usual, *lines, "", "")).encode()


async def test_false_lengths_end_only_their_connection(gateway: RunningGateway) -> None:
    longer = head(gateway, f"Content-Length: {len(ASKED) + 10}")
    assert await answer(gateway, longer, ASKED, end=True) == b""
    shorter = head(gateway, f"Content-Length: {len(ASKED) - 10}")
    received = await answer(gateway, shorter, ASKED, b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 422 ")
    assert received.count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 1", "Content-Length: 2"],
        ["Content-Length: -1"],
        ["Content-Length: 1e3"],
        ["Content-Length: 99999999999999999999999999"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: identity"],
        ["Host: two"],
        ["No colon"],
        ["Bad name: x"],
        ["X: \x00"],
    ],
    ids=" ".join,
)
async def test_invalid_header_is_refused(gateway: RunningGateway, lines: list[str]) -> None:
    received = await answer(gateway, head(gateway, *lines))
    assert received.split(b" ")[1] in {b"400", b"413"}
    assert b"application/problem+json" in received


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-5\r\nhello\r\n",
        b"5\r\nhelloworld\r\n",
        b"f" * 100 + b"\r\n",
        b"5;" + b"x" * 100_000,
    ],
    ids=["no number", "negative", "longer", "huge", "extension"],
)
async def test_invalid_transfer_chunks_end_only_their_connection(
    gateway: RunningGateway, body: bytes
) -> None:
    received = await answer(gateway, head(gateway, "Transfer-Encoding: chunked"), body)
    assert received.startswith(b"HTTP/1.1 400 ")


async def test_two_lengths_of_one_body_smuggle_nothing(gateway: RunningGateway) -> None:
    hidden = head(gateway, request="GET /livez HTTP/1.1")
    lines = ("Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close")
    received = await answer(gateway, head(gateway, *lines), b"0\r\n\r\n", hidden)
    assert b"alive" not in received


async def test_headers_without_end_are_refused(gateway: RunningGateway) -> None:
    for flood in (
        head(gateway, *(f"X-{i}: {'x' * 100}" for i in range(2000))),
        head(gateway, "X: " + "x" * 200_000),
        head(gateway, request="GET /" + "a" * 200_000 + " HTTP/1.1"),
    ):
        received = await answer(gateway, flood)
        assert received.startswith(b"HTTP/1.1 400 ") or received == b""


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/backends/%2e%2e/%2e%2e",
        "/api/v1/backends/..%2f..%2fhealth",
        "/api/v1/backends/a%00b",
        "/api/v1/backends/a%0d%0ab",
        "/api/v1/backends/" + "a" * 30_000,
        "/api/v1/backends/%ff%fe",
        "/api/v1/backends/*",
        "/api/v1/backends/a.b",
        "/api/v1/backends/>",
        "/api/v1/backends/cwt.query.health",
        "//api/v1/backends/",
        "//evil.example/%2e%2e",
        "/api/v1/../../etc/passwd",
        "/live/../../etc/passwd",
        "/live/%2e%2e/%2e%2e/etc/passwd",
        "/static-offline-docs/%2e%2e/%2e%2e/setup.py",
        "/api/v1/streams/%2e%2e",
        "/api/v1/streams/a%2fb",
        "/api/v1/streams/a.b.*",
        "/api/v1/jobs/%00",
        "/api/v1/jobs/../streams/>",
        "/%",
        "/%zz",
        "*",
    ],
)
async def test_a_path_leads_nowhere_but_to_its_route(gateway: RunningGateway, path: str) -> None:
    received = await answer(
        gateway, head(gateway, "Connection: close", request=f"GET {path} HTTP/1.1")
    )
    assert received.split(b" ")[1] == b"404", received[:300]
    assert b"application/problem+json" in received
    assert orjson.loads(received.partition(b"\r\n\r\n")[2])["code"] == "not_found"


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "BREW", "x" * 1000])
async def test_unsupported_method_is_refused(gateway: RunningGateway, method: str) -> None:
    lines = ("Connection: close", "Content-Length: 0")
    received = await answer(gateway, head(gateway, *lines, request=f"{method} {CWT} HTTP/1.1"))
    assert received.startswith(b"HTTP/1.1 405 ")
    assert b"allow: POST" in received


async def test_methods_leave_no_trace_in_the_metrics(http: httpx.AsyncClient) -> None:
    for number in range(20):
        await http.request(f"BREW{number}", "/")
    assert "BREW" not in (await http.get("/metrics")).text


async def test_head_is_get_without_a_body(http: httpx.AsyncClient) -> None:
    for path in ("/", "/health", "/openapi.json", "/docs", "/api/v1/backends/"):
        head, get = await http.head(path), await http.get(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
    assert refused(await http.get("/none"), 404, "not_found")
    assert (await http.head("/none")).status_code == 404


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd"])
async def test_a_compressed_body_is_refused(http: httpx.AsyncClient, encoding: str) -> None:
    for path in (CWT, "/api/v1/benchmark", "/api/v1/jobs"):
        headers = {**JSON, "content-encoding": encoding}
        reply = await http.post(path, content=b"\x1f\x8b", headers=headers)
        assert refused(reply, 415, "unsupported_media_type")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "a" * 10_000])
async def test_a_foreign_host_reads_nothing(http: httpx.AsyncClient, host: str) -> None:
    for path in ("/", "/health", "/metrics", "/docs", "/live", "/api/v1/streams"):
        assert refused(await http.get(path, headers={"host": host}), 421, "wrong_host")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://evil.example", "content-type": "text/plain"},
    ],
    ids=str,
)
async def test_a_foreign_page_changes_nothing(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for method, path in (
        ("POST", CWT),
        ("POST", "/api/v1/jobs"),
        ("PUT", "/api/v1/streams/mine"),
        ("DELETE", "/api/v1/streams/mine"),
        ("POST", "/api/v1/streams/mine/chunks"),
    ):
        reply = await http.request(method, path, content=ASKED, headers={**JSON, **headers})
        assert refused(reply, 403, "foreign_origin")
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_html_form_cannot_change_anything(http: httpx.AsyncClient, kind: str) -> None:
    reply = await http.post("/api/v1/jobs", content=ASKED, headers={"content-type": kind})
    assert refused(reply, 415, "unsupported_media_type")


async def test_only_allowed_pages_may_ask_for_more(http: httpx.AsyncClient) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    allowed = await http.options(CWT, headers={"origin": LAB, **asked})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, LAB)
    reply = await http.post(CWT, content=ASKED, headers={**JSON, "origin": LAB})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, LAB)
    for origin in ("http://evil.example", "null"):
        foreign = await http.options(CWT, headers={"origin": origin, **asked})
        assert foreign.status_code == 400
        assert "access-control-allow-origin" not in foreign.headers
        assert (
            "access-control-allow-origin"
            not in (await http.get("/health", headers={"origin": origin})).headers
        )


async def test_unknown_encoding_is_refused(http: httpx.AsyncClient) -> None:
    reply = await http.post(CWT, content=ASKED, headers={**JSON, "accept": "text/html"})
    assert refused(reply, 406, "not_acceptable")
    reply = await http.post(CWT, content=ASKED, headers={"content-type": "text/csv"})
    assert refused(reply, 415, "unsupported_media_type")


async def test_what_is_refused_for_its_encoding_has_not_happened(http: httpx.AsyncClient) -> None:
    stream, html = "/api/v1/streams/refused", {"accept": "text/html"}
    definition = {"channels": [{"name": "a"}], "fs_hz": 10.0}
    assert refused(await http.put(stream, json=definition, headers=html), 406, "not_acceptable")
    assert (await http.get(stream)).status_code == 404
    assert (await http.put(stream, json=definition)).status_code == 200
    chunk = {"schema": "signal.chunk/1", "epoch": "one", "first_sample": 0, "samples": [1, 2, 3]}
    for method, path, body in (
        ("POST", f"{stream}/chunks", chunk),
        ("POST", f"{stream}/recording?filename=x.csv", None),
        ("DELETE", stream, None),
    ):
        reply = await http.request(method, path, json=body, headers=html)
        assert refused(reply, 406, "not_acceptable")
    assert (await http.get(stream)).json()["definition"]["channels"][0]["name"] == "a"
    stored = await http.post(f"{stream}/chunks", json=chunk)
    assert (stored.status_code, stored.json().get("duplicate")) == (202, False), stored.text
