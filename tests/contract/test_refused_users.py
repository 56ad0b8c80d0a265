"""A server that does not let a user in: commands report it, services wait until it does.

Both tried again four times a second for as long as they ran, and wrote a line each time.
"""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import nats.errors
import pytest
from prometheus_client import REGISTRY

from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import AccessRefusedError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.bus.nats.connection_watch import (
    REPORT_EVERY,
    WHILE_REFUSED,
    ConnectionWatch,
)
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.settings import ServiceSettings
from cwt_runtime.telemetry.logs import Action, configure_logs, logger
from cwt_schemas.errors import Unavailable
from pycwt_client import ConnectSettings, connect
from tests.credentials import credentials_server
from tests.deadlines import fail_after
from tests.servers import free_port

pytestmark = pytest.mark.anyio

VIOLATION = nats.errors.Error("nats: 'Authorization Violation'")


class Guarded:
    """A server with one user, whose password can be changed on both sides."""

    def __init__(self, folder: Path) -> None:
        self._config, self._password = folder / "users.conf", folder / "password"
        self.url = ""
        self.pid = 0

    def accept(self, password: str) -> None:
        self._config.write_text(
            f'authorization {{ users: [{{ user: device, password: "{password}" }}] }}'
        )
        if self.pid:
            os.kill(self.pid, signal.SIGHUP)

    def send(self, password: str) -> None:
        self._password.write_text(password)

    @property
    def settings(self) -> ConnectSettings:
        return ConnectSettings(url=self.url, user="device", password_file=str(self._password))


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    server = Guarded(tmp_path)
    server.accept("right")
    server.send("wrong")
    async with start_server(tmp_path / "nats", settings='include "../users.conf"') as running:
        server.url, server.pid = running.url, running.pid
        yield server


def connections_lost() -> float:
    return REGISTRY.get_sample_value("cwt_bus_lost_total") or 0.0


class Records(io.StringIO):
    """The log of this process, as JSON lines."""

    def __init__(self) -> None:
        super().__init__()
        self._written = anyio.Event()
        self._lost_before = connections_lost()
        configure_logs(ServiceSettings(log_format="json"), self)

    def write(self, text: str) -> int:
        self._written.set()
        return super().write(text)

    def count(self, action: Action) -> int:
        return self.getvalue().count(f'"action": "{action}"')

    @property
    def connections_lost(self) -> float:
        """Return the number of broken connections since, from the metrics."""
        return connections_lost() - self._lost_before

    async def until(self, action: Action) -> None:
        """Return when there is a record of `action`."""
        while not self.count(action):
            self._written = anyio.Event()
            await self._written.wait()


async def reconnected(bus: Bus, records: Records) -> None:
    """Return when a connection that breaks delivers messages again."""
    with fail_after(30):
        await records.until(Action.BUS_LOST)
        async with bus.subscribe("a") as heard:
            await bus.publish("a", b"in")
            assert (await anext(aiter(heard))).data == b"in"
    assert records.count(Action.BUS_CLOSED) == 0
    assert records.connections_lost == records.count(Action.BUS_LOST)


async def test_wrong_password_is_reported_immediately(guarded: Guarded, tmp_path: Path) -> None:
    with fail_after(10), pytest.raises(Unavailable) as caught:
        async with connect(guarded.settings, timeout_s=600):
            pass
    assert str(caught.value).startswith(
        f"{guarded.url} refuses user 'device' with the password in {tmp_path / 'password'}"
    )
    assert isinstance(caught.value.__cause__, AccessRefusedError)


async def test_error_of_client_without_user_says_how_to_set_one(guarded: Guarded) -> None:
    with fail_after(10), pytest.raises(Unavailable, match="CWT_NATS_USER"):
        async with connect(guarded.url, timeout_s=600):
            pass


async def test_expired_credentials_are_reported_as_expired(tmp_path: Path) -> None:
    async with credentials_server(tmp_path, expires_s=1_700_000_000) as issuer:
        with fail_after(10), pytest.raises(Unavailable, match="expired on 2023-11-14"):
            async with connect(issuer.url, creds=str(issuer.creds), timeout_s=600):
                pass


async def test_unreachable_server_does_not_imply_refusal(guarded: Guarded) -> None:
    guarded.send("right")
    servers = ConnectSettings(
        url=f"nats://127.0.0.1:{free_port()},{guarded.url}",
        user="device",
        password_file=guarded.settings.password_file,
    )
    async with connect(servers, timeout_s=20):
        pass


async def test_a_service_is_let_in_once_the_password_is_right(guarded: Guarded) -> None:
    records = Records()
    async with anyio.create_task_group() as tasks:
        connected = anyio.Event()

        async def serve() -> None:
            async with connect_bus(guarded.settings, name="x", log=logger("x")):
                connected.set()

        tasks.start_soon(serve)
        with fail_after(20):
            await records.until(Action.BUS_REFUSED)
            guarded.send("right")
            await connected.wait()
        assert records.count(Action.BUS_REFUSED) == 1
        assert records.count(Action.BUS_ERROR) == 0


async def test_a_password_that_is_changed_while_connected_is_used(guarded: Guarded) -> None:
    """The driver closes for good, so that services ended."""
    guarded.send("right")
    records = Records()
    async with connect_bus(guarded.settings, name="x", log=logger("x")) as bus:
        guarded.send("new")
        guarded.accept("new")
        await reconnected(bus, records)


async def test_credentials_that_expire_while_connected_are_replaced_by_those_in_the_file(
    tmp_path: Path,
) -> None:
    soon = int(time.time()) + 2
    records = Records()
    async with credentials_server(tmp_path, expires_s=soon) as issuer:
        settings = ConnectSettings(url=issuer.url, creds=str(issuer.creds))
        async with connect_bus(settings, name="x", log=logger("x")) as bus:
            issuer.issue()
            await reconnected(bus, records)


async def test_tries_that_are_refused_become_rare_and_are_reported_once() -> None:
    client, records = OrderedClient(), Records()
    watch = ConnectionWatch(client, ConnectSettings(), logger("x"), wait_if_refused=True)
    waits = []
    for _ in range(10):
        await watch.on_error(VIOLATION)
        waits.append(client.options["reconnect_time_wait"])
    assert records.count(Action.BUS_REFUSED) == 1
    assert waits[0] <= WHILE_REFUSED.first_delay_s
    assert WHILE_REFUSED.max_delay_s / 2 <= waits[-1] <= WHILE_REFUSED.max_delay_s == 60
    await watch.on_connected()
    assert client.options["reconnect_time_wait"] < 1


@pytest.mark.parametrize("said", ["Authentication Timeout", "maximum connections exceeded"])
async def test_tries_that_a_busy_server_ends_are_reported_as_those_without_a_server(
    said: str,
) -> None:
    """Each one was reported, four a second."""
    records = Records()
    watch = ConnectionWatch(OrderedClient(), ConnectSettings(), logger("x"), wait_if_refused=True)
    for _ in range(REPORT_EVERY + 1):
        await watch.on_error(nats.errors.Error(f"nats: '{said}'"))
    assert records.count(Action.BUS_WAITING) == 2
    assert records.count(Action.BUS_ERROR) == 0


async def test_full_server_accepts_client_after_another_leaves(tmp_path: Path) -> None:
    records = Records()
    async with start_server(tmp_path, settings="max_connections: 1") as server:

        async def enter() -> None:
            async with connect(server.url, timeout_s=60, log=logger("x")):
                pass

        async with anyio.create_task_group() as tasks, connect(server.url, timeout_s=20):
            tasks.start_soon(enter)
            with fail_after(20):
                await records.until(Action.BUS_WAITING)
