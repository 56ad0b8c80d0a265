"""What the doctor says of a server, and where it does not let a user in or do everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import anyio.to_thread
import orjson
import pytest
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.doctor import SERVER_STATE, checkup
from cwt_cli.findings import Finding
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import StorageFullError
from cwt_runtime.process.embedded_server import start_server
from cwt_schemas import storage, subjects
from cwt_schemas.errors import Internal
from cwt_schemas.message import Message
from cwt_schemas.service import HealthRequest
from pycwt_client import connect
from tests.contract.conftest import small_topology
from tests.credentials import credentials_server
from tests.deadlines import fail_after
from tests.older_server import older_server
from tests.unit.client.conftest import serving

pytestmark = pytest.mark.anyio

Doctor = Callable[..., Awaitable[str]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run the command with the given variables of the connection; return what it prints."""

    async def run(**variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(f"CWT_NATS_{name}", value)
        result = await anyio.to_thread.run_sync(lambda: CliRunner().invoke(app, ["doctor"]))
        assert result.exit_code == 1
        return result.output

    return run


async def test_wrong_password_is_reported_with_its_file(doctor: Doctor, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong")
    users = "authorization { users: [ { user: device, password: right } ] }"
    async with start_server(tmp_path / "nats", settings=users) as server:
        said = await doctor(URL=server.url, USER="device", PASSWORD_FILE=str(password))
    assert f"WRONG user: {server.url} refuses user 'device'" in said
    assert str(password) in said
    assert "correct the user, the file or the server" in said


async def test_error_of_expired_credentials_says_expired(doctor: Doctor, tmp_path: Path) -> None:
    async with credentials_server(tmp_path, expires_s=1_700_000_000) as issuer:
        said = await doctor(URL=issuer.url, CREDS=str(issuer.creds))
    assert f"credentials in {issuer.creds}, which expired on 2023-11-14" in said


async def test_missing_file_is_reported(doctor: Doctor, tmp_path: Path) -> None:
    said = await doctor(CREDS=str(tmp_path / "none"))
    assert "WRONG settings: cannot read the credentials file" in said


async def test_missing_permission_is_reported_with_subject(doctor: Doctor, tmp_path: Path) -> None:
    users = (
        "authorization { users: [ { user: device, password: p, permissions: { "
        'publish: { deny: "$JS.API.STREAM.>" }, subscribe: ">" } } ] }'
    )
    async with start_server(tmp_path / "nats", settings=users) as server:
        said = await doctor(URL=server.url.replace("//", "//device:p@"))
    assert "WRONG permissions: this user may not publish to $JS.API.STREAM.INFO.CWT_SIGNALS" in said
    assert "allow this user to publish to it" in said


async def test_another_prefix_of_inboxes_is_advised(doctor: Doctor, tmp_path: Path) -> None:
    users = (
        "authorization { users: [ { user: device, password: p, permissions: { "
        'publish: ">", subscribe: "_INBOX.device.>" } } ] }'
    )
    async with start_server(tmp_path / "nats", settings=users) as server:
        said = await doctor(URL=server.url.replace("//", "//device:p@"))
        assert "set CWT_NATS_INBOX_PREFIX to the inbox prefix" in said
        assert "INBOX_PREFIX" not in await doctor(INBOX_PREFIX="_INBOX.device")


async def test_a_worker_that_cannot_check_its_health_is_reported(nats_url: str) -> None:
    def fail(_: Message) -> Message:
        raise Internal("the worker failed")

    async with (
        connect(nats_url) as client,
        serving(client.bus, subjects.query("health"), HealthRequest, fail),
    ):
        findings = await checkup(client.bus)
    assert wrong(findings, "health") == ["the worker failed"]


def wrong(findings: list[Finding], about: str) -> list[str]:
    """Return what is wrong with something."""
    return [each.detail for each in findings if (each.about, each.verdict) == (about, "wrong")]


async def test_server_without_jetstream_is_reported(doctor: Doctor, tmp_path: Path) -> None:
    async with credentials_server(tmp_path) as issuer:
        said = await doctor(URL=issuer.url, CREDS=str(issuer.creds))
    assert "WRONG JetStream: not enabled on the server" in said
    assert "start the server with JetStream" in said


async def test_too_old_server_is_reported(doctor: Doctor, nats_url: str) -> None:
    async with older_server(nats_url) as url:
        said = await doctor(URL=url)
    assert "WRONG nats-server: 127.0.0.1 has version 1." in said
    assert "install version 2.10 or later" in said


async def test_clock_offset_of_an_hour_is_reported(nats_url: str) -> None:
    async with connect(nats_url) as client:
        assert wrong(await checkup(client.bus), "clock") == []
        late = await checkup(client.bus, now=lambda: datetime.now(UTC) - timedelta(hours=1))
    (detail,) = wrong(late, "clock")
    assert 3590 < float(detail.split()[0]) < 3610
    assert "behind that of 127.0.0.1" in detail


async def test_full_stream_is_reported(nats_url: str) -> None:
    async with connect(nats_url) as client:
        await client.bus.log.declare(small_topology())
        with pytest.raises(StorageFullError):  # noqa: PT012 - as many as there is room for
            for number in range(100):
                await client.bus.log.store(subjects.signal("s"), bytes(1024), msg_id=str(number))
        (detail,) = wrong(await checkup(client.bus), storage.SIGNALS)
    assert "nearly full" in detail


async def test_slow_consumer_is_reported_by_name(doctor: Doctor, tmp_path: Path) -> None:
    settings = (
        "max_pending: 200KB\n"
        "accounts { A { jetstream: enabled, users: [ { user: u, password: p } ] } }"
    )
    async with start_server(tmp_path / "nats", max_payload=100_000, settings=settings) as server:
        url = server.url.replace("//", "//u:p@")
        async with connect(url) as client, stuck_reader(server.url, b"ward7", b"load"):
            with fail_after(30):
                while not await slow_consumers(client.bus):
                    await client.bus.publish("load", bytes(90_000))
        said = await doctor(URL=url)
    assert "WRONG slow consumers: the server disconnected ward7 in the last hour" in said


@asynccontextmanager
async def stuck_reader(url: str, name: bytes, subject: bytes) -> AsyncIterator[None]:
    """Subscribe, and read nothing of what comes."""
    address = urlsplit(url)
    reading, writing = await asyncio.open_connection(address.hostname, address.port, limit=1024)
    writing.write(b'CONNECT {"user":"u","pass":"p","verbose":false,"name":"%s"}\r\n' % name)
    writing.write(b"SUB %s 1\r\nPING\r\n" % subject)
    while await reading.readline() != b"PONG\r\n":
        pass
    try:
        yield
    finally:
        writing.close()
        with suppress(OSError):  # the server has closed it before
            await writing.wait_closed()


async def slow_consumers(bus: Bus) -> int:
    reply = orjson.loads((await bus.request(SERVER_STATE, b"", timeout_s=5)).data)
    return int(reply["data"]["account_statz"][0]["slow_consumers"])
