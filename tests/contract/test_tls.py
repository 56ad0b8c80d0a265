"""Connections with TLS, to servers with certificates of a private CA."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas.errors import Unavailable
from pycwt_client import ConnectSettings, connect
from tests.certificates import Authority
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 16_384


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@asynccontextmanager
async def tls_server(authority: Authority, *options: str) -> AsyncIterator[str]:
    """Run a server; yield where it listens, as host and port."""
    certificate, key = authority.issue("server")
    tls = "\n".join((f'cert_file: "{certificate}"', f'key_file: "{key}"', *options))
    with tempfile.TemporaryDirectory() as folder:
        async with start_server(Path(folder), settings=f"tls {{\n{tls}\n}}") as server:
            yield urlsplit(server.url).netloc


async def echoed(settings: ConnectSettings) -> bytes:
    """Return a large message as it arrives over such a connection."""
    async with (
        connect(settings, timeout_s=20) as client,
        client.bus.subscribe("a") as heard,
    ):
        await client.bus.publish("a", LARGE)
        return (await anext(aiter(heard))).data


async def refused(settings: ConnectSettings) -> str:
    """Return what is said of a connection that is not made."""
    with fail_after(20), pytest.raises(Unavailable) as caught:
        async with connect(settings, timeout_s=600):
            pass
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_a_server_of_a_private_ca_is_trusted_if_the_ca_is_named(
    authority: Authority, scheme: str
) -> None:
    async with tls_server(authority) as place:
        url = f"{scheme}://{place}"
        assert await echoed(ConnectSettings(url=url, tls_ca=str(authority.certificate))) == LARGE
        assert "certificate" in await refused(ConnectSettings(url=url))


async def test_a_server_of_another_ca_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    async with tls_server(authority) as place:
        settings = ConnectSettings(url=f"tls://{place}", tls_ca=str(other.certificate))
        said = await refused(settings)
    assert f"cannot verify the certificate of tls://{place}" in said
    assert "CWT_NATS_TLS_CA" in said


async def test_a_client_certificate_is_shown_to_a_server_that_asks_for_one(
    authority: Authority,
) -> None:
    certificate, key = authority.issue("client")
    ca = authority.certificate
    async with tls_server(authority, f'ca_file: "{ca}"', "verify: true") as place:
        without = ConnectSettings(url=f"nats://{place}", tls_ca=str(ca))
        settings = ConnectSettings(
            url=f"nats://{place}", tls_ca=str(ca), tls_cert=str(certificate), tls_key=str(key)
        )
        assert await echoed(settings) == LARGE
        assert "CWT_NATS_TLS_CERT" in await refused(without)


async def test_tls_may_come_before_everything_else(authority: Authority) -> None:
    async with tls_server(authority, "handshake_first: true") as place:
        settings = ConnectSettings(
            url=f"nats://{place}", tls_ca=str(authority.certificate), tls_first=True
        )
        assert await echoed(settings) == LARGE


async def test_tls_is_used_where_the_server_only_offers_it(authority: Authority) -> None:
    """The driver connected in the clear."""
    certificate, key = authority.issue("server")
    tls = f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\nallow_non_tls: true'
    with tempfile.TemporaryDirectory() as folder:
        async with start_server(Path(folder), settings=tls) as server:
            place = urlsplit(server.url).netloc
            trusted = ConnectSettings(url=f"tls://{place}", tls_ca=str(authority.certificate))
            assert await echoed(trusted) == LARGE
            assert "certificate" in await refused(ConnectSettings(url=f"tls://{place}"))


async def test_the_end_of_a_server_is_not_a_warning_of_asyncio(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """It was one on standard error, for each process and each end."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(tls_server(authority))
        settings = ConnectSettings(url=f"tls://{place}", tls_ca=str(authority.certificate))
        async with connect(settings) as client:
            await stack.aclose()
            with fail_after(20):
                while client.bus.is_connected:
                    await anyio.lowlevel.checkpoint()
    assert [each.message for each in caplog.records if each.name == "asyncio"] == []


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_no_password_is_sent_to_a_server_without_tls_if_tls_is_required(
    authority: Authority, tmp_path: Path, scheme: str
) -> None:
    """The driver sent the password without TLS, readable on the network."""
    password = tmp_path / "password"
    password.write_text("secret")
    received = b""

    async def eavesdrop(stream: anyio.abc.SocketStream) -> None:
        nonlocal received
        async with stream:
            await stream.send(b'INFO {"server_id":"x","version":"2.15.0","max_payload":1024}\r\n')
            async for part in stream:
                received += part

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, eavesdrop)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        said = await refused(
            ConnectSettings(
                url=f"{scheme}://127.0.0.1:{port}",
                user="device",
                password_file=str(password),
                tls_ca=str(authority.certificate) if scheme == "nats" else None,
            )
        )
        tasks.cancel_scope.cancel()
    assert "does not offer TLS" in said
    assert received == b""


async def test_the_log_is_written_and_read_over_tls(authority: Authority) -> None:
    async with tls_server(authority) as place:
        settings = ConnectSettings(url=f"tls://{place}", tls_ca=str(authority.certificate))
        with fail_after(30):
            async with connect_bus(settings, name="test", log=logger("test")) as bus:
                await bus.log.declare(system_topology(StorageSettings()))
                objects = await bus.log.objects("cwt_objects")
                await objects.put("large", LARGE)
                assert await objects.get("large") == LARGE


async def test_files_that_are_no_certificates_are_named(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, _ = authority.issue("client")
    locked, locked_key = authority.issue("locked", password=b"pass")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    ca = str(authority.certificate)
    for settings, said in (
        (ConnectSettings(tls_ca=str(tmp_path / "none")), "cannot read the CA file"),
        (ConnectSettings(tls_ca=str(nothing)), f"CA file {nothing} contains no certificate"),
        (ConnectSettings(tls_ca=ca, tls_cert=str(certificate), tls_key="none"), "read the key"),
        (ConnectSettings(tls_cert=str(certificate), tls_key=str(nothing)), "its key"),
        (ConnectSettings(tls_cert=str(locked), tls_key=str(locked_key)), "without a password"),
    ):
        assert said in await refused(settings)
