"""Processes and the server below them: settings, absence, restart, death of the parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest

from cwt_runtime.bus.errors import BusUnreachableError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import EmbeddedServer, FolderInUseError, start_server
from cwt_runtime.process.orphan_guard import guarded
from cwt_runtime.telemetry.logs import logger
from pycwt_client import Client
from tests.certificates import Authority
from tests.servers import free_port, restartable_server
from tests.system.scenario import blank, collect, definition, expected, gone, publish, written
from tests.system.scenario import signal as samples_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]


def start_service(service: str, url: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            guarded([sys.executable, "-m", f"cwt_{service}"]),
            stdout=output,
            stderr=output,
            env={**os.environ, "CWT_NATS_URL": url, **environment},
        )


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("service", ["ingest", "compute", "hwbridge", "gateway"])
async def test_a_wrong_setting_stops_the_service_with_all_faults_listed(service: str) -> None:
    wrong = {"CWT_NATS_URL": "localhost", "CWT_DRAIN_S": "soon"}
    done = await anyio.run_process(
        [sys.executable, "-m", f"cwt_{service}"], env={**os.environ, **wrong}, check=False
    )
    assert done.returncode == 78
    told = done.stderr.decode()
    assert all(name in told for name in wrong)
    assert "Traceback" not in told


async def test_command_waits_for_unreachable_server_and_says_so(tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "ingest.log"
    process = start_service("ingest", f"nats://127.0.0.1:{port}", log)
    try:
        await written(log, "bus_waiting")
        async with start_server(tmp_path / "nats", port=port):
            await written(log, '"ready"')
            process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(process.wait) == 0
    finally:
        process.kill()
        process.wait()
    assert f"127.0.0.1:{port}" in log.read_text()


async def test_a_server_killed_and_restarted_on_its_store_changes_no_result(
    tmp_path: Path,
) -> None:
    port, x = free_port(), samples_of(6000)
    url = f"nats://127.0.0.1:{port}"
    processes = []
    async with (
        restartable_server(tmp_path / "nats", port) as server,
        connect_bus(url, name="test", log=logger("test")) as bus,
    ):
        try:
            for service in ("ingest", "compute"):
                processes.append(start_service(service, url, tmp_path / f"{service}.log"))
                await written(tmp_path / f"{service}.log", '"ready"')
            client = Client(bus)
            await client.put_stream(definition())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish, client, x)
                await collect(client, 5)
                await server.kill_and_restart()
            assert blank(await collect(client, len(expected(x)))) == blank(expected(x))
        finally:
            for process in processes:
                process.kill()
                process.wait()


async def test_the_embedded_server_listens_on_loopback_and_is_healthy(
    nats_server: EmbeddedServer,
) -> None:
    assert nats_server.url.startswith("nats://127.0.0.1:")
    url = f"{nats_server.monitoring_url}/healthz"
    body = await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(url).read())
    assert b"ok" in body


async def test_monitoring_stays_on_loopback_wherever_the_server_listens(tmp_path: Path) -> None:
    """It has no users, and shows the connections, users and streams of all."""
    async with start_server(tmp_path, host="0.0.0.0") as server:
        assert urlsplit(server.monitoring_url).hostname == "127.0.0.1"


async def test_a_folder_has_one_server_at_a_time(tmp_path: Path) -> None:
    async with start_server(tmp_path):
        with pytest.raises(FolderInUseError, match="another server"):
            async with start_server(tmp_path):
                raise AssertionError
    async with start_server(tmp_path):
        pass


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BusUnreachableError, match="in use"):
            async with start_server(tmp_path, port=taken.getsockname()[1]):
                raise AssertionError


async def test_the_embedded_server_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import anyio\n"
        "from pathlib import Path\n"
        "from cwt_runtime.process.embedded_server import start_server\n"
        "async def main():\n"
        f"    async with start_server(Path({str(tmp_path)!r})) as server:\n"
        "        print(server.pid, flush=True)\n"
        "        await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert parent.stdout is not None
    pid = int(await anyio.to_thread.run_sync(parent.stdout.readline))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await gone(pid)


@pytest.mark.parametrize("service", ["ingest", "compute", "hwbridge", "gateway"])
async def test_a_service_connects_as_its_user_over_tls_and_shows_no_secret(
    service: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    password, log = tmp_path / "password", tmp_path / "service.log"
    password.write_text("correct horse")
    config = (
        f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n'
        'accounts { A: { jetstream: enabled, users: [ { user: worker, password: "correct horse", '
        'permissions: { publish: ">", subscribe: ["_INBOX.worker.>", "cwt.>", "$SRV.>"] } } ] } }'
    )
    async with start_server(tmp_path / "nats", settings=config) as server:
        process = start_service(
            service,
            server.url,
            log,
            CWT_NATS_USER="worker",
            CWT_NATS_PASSWORD_FILE=str(password),
            CWT_NATS_TLS_CA=str(authority.certificate),
            CWT_NATS_INBOX_PREFIX="_INBOX.worker",
            CWT_HTTP_PORT="0",
            CWT_LOG_LEVEL="debug",
        )
        try:
            await written(log, '"ready"')
            shown = command_line(process.pid)
            process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(process.wait) == 0
        finally:
            process.kill()
            process.wait()
    said = log.read_text()
    assert "bus_error" not in said
    assert "correct horse" not in said + shown
