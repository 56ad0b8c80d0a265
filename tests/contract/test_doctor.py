"""What the doctor says where the server does not let a user in, or not do everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread
import pytest
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.doctor import checkup
from cwt_runtime.process.embedded_server import start_server
from cwt_schemas import subjects
from cwt_schemas.errors import Internal
from cwt_schemas.message import Message
from cwt_schemas.query import HealthRequest
from pycwt_client import connect
from tests.credentials import credentials_server
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


async def test_a_wrong_password_is_told_with_its_file(doctor: Doctor, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong")
    users = "authorization { users: [ { user: device, password: right } ] }"
    async with start_server(tmp_path / "nats", settings=users) as server:
        said = await doctor(URL=server.url, USER="device", PASSWORD_FILE=str(password))
    assert f"WRONG user: {server.url} refuses user 'device'" in said
    assert str(password) in said
    assert "correct the user, the file or the server" in said


async def test_expired_credentials_are_told_as_such(doctor: Doctor, tmp_path: Path) -> None:
    async with credentials_server(tmp_path, expires_s=1_700_000_000) as issuer:
        said = await doctor(URL=issuer.url, CREDS=str(issuer.creds))
    assert f"credentials in {issuer.creds}, which expired on 2023-11-14" in said


async def test_a_file_that_is_missing_is_told(doctor: Doctor, tmp_path: Path) -> None:
    said = await doctor(CREDS=str(tmp_path / "none"))
    assert "WRONG settings: cannot read the credentials file" in said


async def test_a_permission_that_is_missing_is_told_with_its_subject(
    doctor: Doctor, tmp_path: Path
) -> None:
    users = (
        "authorization { users: [ { user: device, password: p, permissions: { "
        'publish: { deny: "$JS.API.STREAM.>" }, subscribe: ">" } } ] }'
    )
    async with start_server(tmp_path / "nats", settings=users) as server:
        said = await doctor(URL=server.url.replace("//", "//device:p@"))
    assert "WRONG permissions: this user may not publish to $JS.API.STREAM.INFO.CWT_SIGNALS" in said
    assert "let this user publish to it" in said


async def test_another_prefix_of_inboxes_is_advised(doctor: Doctor, tmp_path: Path) -> None:
    users = (
        "authorization { users: [ { user: device, password: p, permissions: { "
        'publish: ">", subscribe: "_INBOX.device.>" } } ] }'
    )
    async with start_server(tmp_path / "nats", settings=users) as server:
        said = await doctor(URL=server.url.replace("//", "//device:p@"))
        assert "set CWT_NATS_INBOX_PREFIX to the prefix" in said
        assert "INBOX_PREFIX" not in await doctor(INBOX_PREFIX="_INBOX.device")


async def test_a_worker_that_cannot_check_its_health_is_reported(nats_url: str) -> None:
    def fail(_: Message) -> Message:
        raise Internal("the worker failed")

    async with (
        connect(nats_url) as client,
        serving(client.bus, subjects.query("health"), HealthRequest, fail),
    ):
        findings = await checkup(client.bus)
    (health,) = (each for each in findings if each.about == "health")
    assert (health.verdict, health.detail) == ("wrong", "the worker failed")
