"""A process that is asked to stop ends within its deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import orjson
import pytest

from cwt_runtime.process.embedded_server import EmbeddedServer
from cwt_runtime.process.lifecycle import GRACE_S
from cwt_runtime.process.orphan_guard import guarded
from tests.deadlines import fail_after
from tests.servers import free_port
from tests.system.conftest import POLL_S, START_S

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@contextmanager
def running(module: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as output,
        subprocess.Popen(
            guarded([sys.executable, "-m", module]),
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


async def written(log: Path, action: str) -> dict[str, object]:
    """Wait for a record of `action` and return it."""
    with fail_after(START_S):
        while True:
            for line in log.read_bytes().splitlines():  # noqa: ASYNC240 - small, and on this disk
                if line.startswith(b"{") and line.endswith(b"}"):
                    record: dict[str, object] = orjson.loads(line)
                    if record["action"] == action:
                        return record
            await anyio.sleep(POLL_S)


async def code_after_sigterm(process: subprocess.Popen[bytes], limit_s: float) -> int:
    process.send_signal(signal.SIGTERM)
    with fail_after(limit_s):
        while process.poll() is None:  # noqa: ASYNC110 - a process has no event
            await anyio.sleep(POLL_S)
    return int(process.returncode)


async def test_service_waiting_for_server_stops_immediately(tmp_path: Path) -> None:
    log = tmp_path / "log"
    url = f"nats://127.0.0.1:{free_port()}"
    with running("cwt_hwbridge", log, CWT_NATS_URL=url) as process:
        await written(log, "bus_waiting")
        assert await code_after_sigterm(process, 5) == 0
    assert (await written(log, "stopped"))["exit_code"] == 0


async def test_work_in_a_thread_that_never_ends_does_not_keep_the_process(
    tmp_path: Path, nats_server: EmbeddedServer
) -> None:
    log = tmp_path / "log"
    environment = {"CWT_NATS_URL": nats_server.url, "CWT_DRAIN_S": "0.2"}
    with running("tests.system.stuck_service", log, **environment) as process:
        # A full garbage collection of the imported modules would block the event loop.
        assert int(str((await written(log, "ready"))["exempt"])) > 10_000
        assert await code_after_sigterm(process, 0.2 + GRACE_S + 3) == 1
    assert "other processes retry its unacknowledged work" in str(
        (await written(log, "failed"))["detail"]
    )
