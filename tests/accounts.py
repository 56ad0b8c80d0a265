"""A server with the accounts of `deploy/nats`, and users of it that behave well or badly."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from nats.aio.client import Client

from cwt_cli.up import CLIENTS
from cwt_runtime.accounts.folder import password_file, settings_of, write_accounts
from cwt_runtime.accounts.users import User, inbox_prefix, service_users
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.bus.nats.client import OrderedClient
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import copies_of, system_topology
from cwt_runtime.telemetry.logs import logger

__all__ = ["AccountsServer", "Intruder", "accounts_server"]

MIB = 1024**2
#: The usual sizes, of streams and of copies, are more than a test may reserve.
LIMITS = StorageSettings(
    signals_max_bytes=64 * MIB, windows_max_bytes=64 * MIB, results_max_bytes=64 * MIB,
    tasks_max_bytes=64 * MIB, job_results_max_bytes=64 * MIB, objects_max_bytes=64 * MIB,
    replies_max_bytes=64 * MIB, answers_max_bytes=64 * MIB,
)  # fmt: skip


@dataclass(frozen=True)
class AccountsServer:
    """A running server, and the folder with its users' passwords."""

    url: str
    folder: Path
    users: tuple[User, ...]
    pid: int

    def password(self, user: str) -> str:
        return password_file(self.folder, user).read_text()

    def settings(self, user: str) -> ConnectSettings:
        """Return how to connect as `user`."""
        known = next(each for each in self.users if each.name == user)
        return settings_of(known, self.folder, self.url)

    def environment(self, user: str) -> dict[str, str]:
        """Return `settings` as the variables of a process."""
        return self.settings(user).variables

    def reload(self) -> None:
        """Have the server read its configuration again, as ``nats-server --signal reload``."""
        os.kill(self.pid, signal.SIGHUP)

    def refusals(self) -> list[str]:
        """Return the server's log records about missing permissions."""
        log = self.folder / "nats" / "nats-server.log"
        return [line for line in log.read_text().splitlines() if "iolation" in line]

    def url_of(self, user: str) -> str:
        """Return the address with the user in it."""
        return f"nats://{user}:{self.password(user)}@{urlsplit(self.url).netloc}"

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[Client]:
        """Connect as `user`; `flush` returns when the server knows of all subscriptions."""
        client = OrderedClient()
        await client.connect(
            self.url_of(user),
            inbox_prefix=inbox_prefix(user),
            error_cb=_ignored,
            max_reconnect_attempts=0,
        )
        try:
            yield client
        finally:
            await client.close()

    @asynccontextmanager
    async def intruder(self, user: str) -> AsyncIterator[Intruder]:
        """Connect as `user`, without any driver."""
        async with self._connection() as intruder:
            assert await intruder.connect(user, self.password(user))
            yield intruder

    async def lets_in(self, user: str, password: str) -> bool:
        """Return whether the server accepts a user with a password."""
        async with self._connection() as intruder:
            return await intruder.connect(user, password)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Intruder]:
        address = urlsplit(self.url)
        reading, writing = await asyncio.open_connection(address.hostname, address.port)
        try:
            yield Intruder(reading, writing)
        finally:
            writing.close()
            with suppress(OSError):  # the server has closed it before
                await writing.wait_closed()


async def _ignored(_: Exception) -> None:
    """Do not treat refusals as unexpected; these tests provoke them."""


class Intruder:
    """A client that sends arbitrary protocol lines, and the errors that the server replied."""

    def __init__(self, reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        self._reading = reading
        self._writing = writing
        self._numbers = 0
        #: Subjects of the messages that came.
        self.heard: list[str] = []

    async def connect(self, user: str, password: str) -> bool:
        """Log in; return whether the server accepts it."""
        await self._reading.readline()  # INFO
        options = {"user": user, "pass": password, "verbose": False, "pedantic": False,
                   "headers": True, "lang": "raw", "version": "0"}  # fmt: skip
        self._writing.write(b"CONNECT %s\r\n" % json.dumps(options).encode())
        self._writing.write(b"PING\r\n")
        return await self._reading.readline() == b"PONG\r\n"

    def publish(self, subject: str, body: bytes = b"", *, reply: str = "") -> None:
        """Send a message."""
        self._writing.write(b"PUB %s %s %d\r\n" % (subject.encode(), reply.encode(), len(body)))
        self._writing.write(body + b"\r\n")

    def subscribe(self, subject: str) -> None:
        """Listen to a subject."""
        self._numbers += 1
        self._writing.write(b"SUB %s %d\r\n" % (subject.encode(), self._numbers))

    async def sent(self, text: bytes) -> None:
        """Send `text` as it is; return when the server has taken it, or closed the connection."""
        self._writing.write(text + b"PING\r\n")
        with suppress(OSError):
            while await self._reading.readline() not in {b"PONG\r\n", b""}:
                pass

    async def ended(self) -> None:
        """Return when the server has closed the connection."""
        while await self._reading.readline():
            pass

    async def refused(self) -> set[str]:
        """Return the subjects that the server refused since the last call."""
        self._writing.write(b"PING\r\n")
        await self._writing.drain()
        refused = set()
        while (line := (await self._reading.readline()).decode()) != "PONG\r\n":
            assert line, "the server has closed the connection"
            word, _, rest = line.partition(" ")
            if word == "-ERR":
                violation = re.search(r'Permissions Violation for \w+ (?:to )?"(.*?)"', rest)
                assert violation, line
                refused.add(violation[1])
            elif word in {"MSG", "HMSG"}:
                self.heard.append(rest.split()[0])
                await self._reading.readexactly(int(rest.split()[-1]) + 2)
            elif word == "PING\r\n":
                self._writing.write(b"PONG\r\n")
        return refused


@asynccontextmanager
async def accounts_server(
    folder: Path, users: Iterable[User] = CLIENTS
) -> AsyncIterator[AccountsServer]:
    """Run a server with these users and with all streams."""
    clients = tuple(users)
    write_accounts(folder, clients)
    async with start_server(folder / "nats", settings='include "../accounts.conf"') as started:
        server = AccountsServer(started.url, folder, (*service_users(), *clients), started.pid)
        # The operator may do all that ingest does.
        operator = server.settings("operator")
        async with connect_bus(operator, name="operator", log=logger("test")) as bus:
            topology = system_topology(LIMITS)
            await bus.log.declare(replace(topology, copies=copies_of(topology)))
        yield server
