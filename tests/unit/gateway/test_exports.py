"""Exports over HTTP: the files that the client writes, and what is refused."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from cwt_gateway.app import make_app
from cwt_gateway.exports import Exports
from cwt_gateway.settings import GatewaySettings
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import subjects
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.codec import ContentType, encode
from pycwt_client import Client
from tests.memory_bus import MemoryBus
from tests.unit.client.test_export import MSGPACK, computed, contents, definition, spec
from tests.unit.gateway.conftest import BASE_URL, catalogue

pytestmark = pytest.mark.anyio

EXPORT = "/api/v1/streams/s/export"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, which has to be empty when a response has been read."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@asynccontextmanager
async def exporting(
    bus: MemoryBus, *analyses: AnalysisSpec, exports: Exports | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway on a bus that has the results of these analyses."""
    defined = definition(*analyses or (spec(),))
    for each in computed(defined):
        subject = subjects.result(each.stream, each.analysis)
        body = encode(each, ContentType.MSGPACK)
        await bus.log.store(subject, body, msg_id=each.id, headers=MSGPACK)
    app = make_app(bus, GatewaySettings(**settings), log=logger("gateway"))
    if exports is not None:
        app.state.exports = exports
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with catalogue(bus), httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        await Client(bus).put_stream(defined)
        yield http


async def test_the_archive_is_that_of_the_client(bus: MemoryBus, temporary: Path) -> None:
    async with exporting(bus) as http:
        reply = await http.get(EXPORT, params={"format": "npz", "channels": "y", "step_s": 0.5})
        expected = await Client(bus).export("s", channels=("y",), step_s=0.5)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-npz")
    assert reply.headers["content-disposition"] == 'attachment; filename="s-a.npz"'
    assert reply.headers["cwt-windows-waiting"] == "0"
    with np.load(BytesIO(reply.content)) as saved:
        np.testing.assert_array_equal(saved["values"], expected.values)
        assert saved["units"].tolist() == ["mmHg^2"]
    assert contents(temporary) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "media_type", "begin"),
    [
        ("csv", "text/csv; charset=utf-8", b"# stream: s\n"),
        ("netcdf", "application/x-netcdf", b"CDF\x02"),
        ("png", "image/png", b"\x89PNG"),
    ],
)
async def test_every_format_is_what_it_says(
    bus: MemoryBus, name: str, media_type: str, begin: bytes
) -> None:
    async with exporting(bus) as http:
        reply = await http.get(EXPORT, params={"format": name, "step_s": 1})
        head = await http.head(EXPORT, params={"format": name, "step_s": 1})
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)
    assert reply.content.startswith(begin)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        (EXPORT, {}, 422, "format"),
        (EXPORT, {"format": "xls"}, 422, "format"),
        (EXPORT, {"format": "npz", "step_s": "0"}, 422, "step_s"),
        (EXPORT, {"format": "npz", "step_s": "inf"}, 422, "step_s"),
        (EXPORT, {"format": "npz"}, 422, "a, b"),
        (EXPORT, {"format": "npz", "analysis": "c"}, 404, "analysis c"),
        (EXPORT, {"format": "npz", "analysis": "a", "epoch": "old"}, 404, "epoch old"),
        (EXPORT, {"format": "npz", "analysis": "a", "channels": "z"}, 404, "of z"),
        ("/api/v1/streams/t/export", {"format": "npz"}, 404, "t has no results"),
        ("/api/v1/streams/a.b/export", {"format": "npz"}, 404, "letters"),
    ],
)
async def test_refused_export_leaves_no_file(
    bus: MemoryBus, temporary: Path, path: str, params: dict[str, Any], status: int, words: str
) -> None:
    async with exporting(bus, spec(), spec(name="b")) as http:
        reply = await http.get(path, params=params)
    assert (reply.status_code, reply.headers["content-type"]) == (
        status, "application/problem+json"
    )  # fmt: skip
    assert words in reply.text
    assert contents(temporary) == {}


async def test_a_table_is_refused_of_what_an_archive_can_have(bus: MemoryBus) -> None:
    async with exporting(bus, exports=Exports(max_bytes=2_000_000)) as http:
        assert (await http.get(EXPORT, params={"format": "npz"})).status_code == 200
        refused = await http.get(EXPORT, params={"format": "csv"})
    assert (refused.status_code, refused.json()["code"]) == (413, "payload_too_large")
    assert "longer step" in refused.json()["detail"]


async def test_of_too_many_exports_the_last_is_refused_until_one_is_sent(bus: MemoryBus) -> None:
    exports = Exports(limit=2)
    async with exporting(bus, exports=exports) as http:
        with ExitStack() as others:
            for _ in range(2):
                others.enter_context(exports.slots.taken())
            refused = await http.get(EXPORT, params={"format": "npz"})
        for _ in range(3):
            assert (await http.get(EXPORT, params={"format": "npz"})).status_code == 200
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")


async def test_a_page_of_an_allowed_origin_reads_name_and_completeness(bus: MemoryBus) -> None:
    lab = "https://lab.example.org"
    async with exporting(bus, http_cors_origins=lab) as http:
        reply = await http.get(EXPORT, params={"format": "npz"}, headers={"origin": lab})
    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {"Content-Disposition", "Cwt-Windows-Waiting"} <= set(exposed)


async def test_a_client_that_does_not_take_the_format_is_refused(bus: MemoryBus) -> None:
    async with exporting(bus) as http:
        asked = {"accept": "application/json"}
        refused = await http.get(EXPORT, params={"format": "csv"}, headers=asked)
        taken = await http.get(EXPORT, params={"format": "csv"}, headers={"accept": "text/*"})
    assert (refused.status_code, taken.status_code) == (406, 200)
