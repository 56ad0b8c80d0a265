"""Servers for tests: a shared one, and private ones that a test may kill and restart."""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import nats
from anyio.from_thread import start_blocking_portal
from nats.aio.client import Client

from cwt_runtime.process.embedded_server import ServerProcess, open_server, start_server

__all__ = [
    "RestartableServer",
    "SharedServer",
    "free_port",
    "restartable_server",
    "shared_server",
]

#: Below the system's range of ephemeral ports.
PORTS = range(20_000, 30_000)
#: Number of accounts. An account is reused after this many tests, when all processes of its last
#: test have ended.
ACCOUNTS = 32
#: Locks of the ports that this process was given; they are held until it ends.
_locks = ExitStack()
atexit.register(_locks.close)


def free_port() -> int:
    """Return a port that no test of any process was given and that nothing listens on.

    A server that is killed and started again needs its port in between, so a lock file reserves
    it for this process until it ends.
    """
    folder = Path(tempfile.gettempdir()) / "pycwt-mod-test-ports"
    folder.mkdir(exist_ok=True)
    for port in PORTS:
        lock = (folder / str(port)).open("wb")
        with suppress(OSError), socket.socket() as probe:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            probe.bind(("127.0.0.1", port))
            _locks.enter_context(lock)
            return port
        lock.close()
    raise AssertionError("no free port")


class SharedServer:
    """A server with many accounts, of which each test gets one to itself.

    Accounts share neither subjects nor streams, so tests cannot meet, not even in what a process
    that was killed sent before it ended.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._names = cycle(f"test-{number}" for number in range(ACCOUNTS))

    @asynccontextmanager
    async def account(self) -> AsyncIterator[str]:
        """Yield the URL of an empty account, and remove its streams afterwards."""
        name = next(self._names)
        url = f"nats://{name}:{name}@{self._address}"
        try:
            yield url
        finally:
            async with await nats.connect(url) as client:
                js = client.jetstream()
                for stream in await js.streams_info():
                    await js.delete_stream(str(stream.config.name))


@contextmanager
def shared_server(folder: Path) -> Iterator[SharedServer]:
    """Run a server with `ACCOUNTS` accounts while the context is open."""
    accounts = "\n".join(
        f"  test-{number}: {{ jetstream: enabled, "
        f"users: [{{ user: test-{number}, password: test-{number} }}] }}"
        for number in range(ACCOUNTS)
    )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            start_server(folder, settings=f"accounts {{\n{accounts}\n}}")
        ) as server,
    ):
        yield SharedServer(server.url)


class RestartableServer:
    """A server that can be killed, and comes back on the same folder and port.

    `settings` are additional lines of its configuration.
    """

    def __init__(self, folder: Path, port: int, settings: str = "") -> None:
        self._folder = folder
        self._port = port
        self._settings = settings
        self._stack = AsyncExitStack()
        self._process: ServerProcess | None = None
        self._pid = 0

    async def start(self) -> None:
        if self._process is None:
            self._process = await self._stack.enter_async_context(
                open_server(self._folder, port=self._port, settings=self._settings)
            )
        self._pid = (await self._process.start()).pid

    async def write_error(self) -> str:
        """Return why the server can no longer write one of its streams, or an empty string."""
        return await self._process.write_error() if self._process else ""

    @property
    def url(self) -> str:
        """Where it is, whether it runs or not."""
        return f"nats://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """Kill -9."""
        os.kill(self._pid, signal.SIGKILL)

    def pause(self) -> None:
        """Pause the server until `resume`: connections stay open, and data waits."""
        os.kill(self._pid, signal.SIGSTOP)
        # The signal stops its threads one after the other.
        os.waitid(os.P_PID, self._pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    async def restart(self) -> None:
        """Restart the server with its stored data."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """Stop the server; the next start appends to its log."""
        if self._process is not None:
            await self._process.stop()

    async def kill_and_restart(self) -> None:
        self.kill()
        await self.restart()

    async def close(self) -> None:
        await self._stack.aclose()
        self._stack, self._process = AsyncExitStack(), None


@asynccontextmanager
async def restartable_server(
    folder: Path, port: int, settings: str = ""
) -> AsyncIterator[RestartableServer]:
    server = RestartableServer(folder, port, settings)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def processed(client: Client) -> None:
    """Return when the server has processed all that the driver's client has sent.

    The driver's own `flush` sends its ping before what is buffered. The second ping follows it.
    """
    await client.flush()
    await client.flush()
