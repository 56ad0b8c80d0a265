"""Servers that tests kill and start again."""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from services.runtime.embedded_server import start_server

__all__ = ["RestartableServer", "free_port", "restartable_server"]


def free_port() -> int:
    """Return a port that nobody has, below those that outgoing connections are given."""
    for port in random.Random(os.getpid()).sample(range(20_000, 30_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


class RestartableServer:
    """A server that can be killed, and comes back on the same folder and port."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._stack = AsyncExitStack()
        self._pid = 0

    async def start(self) -> None:
        server = await self._stack.enter_async_context(start_server(self._folder, port=self._port))
        self._pid = server.pid

    @property
    def url(self) -> str:
        """Where it is, whether it runs or not."""
        return f"nats://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """Kill -9."""
        os.kill(self._pid, signal.SIGKILL)

    def pause(self) -> None:
        """Stall it: connections stay, and what is sent waits, until `resume`."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    async def restart(self) -> None:
        """Start it again on what it left on the disk."""
        await self.close()
        await self.start()

    async def kill_and_restart(self) -> None:
        self.kill()
        await self.restart()

    async def close(self) -> None:
        await self._stack.aclose()
        self._stack = AsyncExitStack()


@asynccontextmanager
async def restartable_server(folder: Path, port: int) -> AsyncIterator[RestartableServer]:
    server = RestartableServer(folder, port)
    await server.start()
    try:
        yield server
    finally:
        await server.close()
