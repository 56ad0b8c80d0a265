"""The running system: a real server, and every service as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import orjson
import pytest

from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.telemetry.logs import Action, logger
from cwt_schemas.limits import MAX_PAYLOAD_BYTES
from tests.deadlines import fail_after
from tests.processes import gone
from tests.template import ForkedProcess, start

#: Importing scipy on a busy machine takes its time.
START_S = 60.0
STOP_S = 30.0
POLL_S = 0.02


@dataclass
class RunningSystem:
    """Services as processes; each can be killed, stopped, and started again."""

    url: str
    bus: Bus
    folder: Path
    processes: dict[str, ForkedProcess | subprocess.Popen[bytes]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    #: Variables of some services alone, by name.
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: Of the server, where it is this system's own.
    server_pid: int = 0

    async def start(
        self, name: str, service: str, *, until: Action | tuple[Action, ...] = Action.READY
    ) -> None:
        """Start a service as `name` and wait until it has logged `until`."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            offset = output.tell()
            own = self.own.get(name, {})
            environment = {**os.environ, "CWT_NATS_URL": self.url, **self.environment, **own}
            self.processes[name] = start(f"cwt_{service}", output=output, environment=environment)
        await self.said(name, until, offset=offset)

    async def said(
        self, name: str, action: Action | tuple[Action, ...], *, offset: int = 0
    ) -> None:
        """Return when `name` has written a record of `action` after the first `offset` bytes."""
        actions = action if isinstance(action, tuple) else (action,)
        log = self.folder / f"{name}.log"
        words = [f'"action":"{each}"'.encode() for each in actions]
        with fail_after(START_S):
            while True:
                text = log.read_bytes()[offset:].replace(b" ", b"")
                if any(word in text for word in words):
                    return
                assert self.processes[name].poll() is None, log.read_text()
                await anyio.sleep(POLL_S)

    def kill(self, name: str) -> None:
        """Kill -9."""
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def pause(self, name: str) -> None:
        """Pause until `resume`: connections stay open."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGCONT)

    async def stop(self, name: str) -> int:
        """SIGTERM, and wait for the end; return the exit code."""
        self.processes[name].send_signal(signal.SIGTERM)
        return await self.ended(name)

    async def ended(self, name: str) -> int:
        """Wait for the end of `name`; return the exit code."""
        process = self.processes[name]
        with fail_after(STOP_S):
            await gone(process.pid)
        self.processes.pop(name)
        return process.wait()

    async def stop_all(self) -> dict[str, int]:
        """SIGTERM to all that still run; return their exit codes."""
        codes: dict[str, int] = {}

        async def stop(name: str) -> None:
            codes[name] = await self.stop(name)

        async with anyio.create_task_group() as tasks:
            for name in list(self.processes):
                tasks.start_soon(stop, name)
        return codes

    def log(self, name: str) -> list[dict[str, object]]:
        """Return the records that `name` has written."""
        lines = (self.folder / f"{name}.log").read_bytes().splitlines()
        return [orjson.loads(line) for line in lines if line.startswith(b"{")]


@asynccontextmanager
async def running_system(
    folder: Path,
    *,
    workers: int = 2,
    environment: dict[str, str] | None = None,
    own: Mapping[str, Mapping[str, str]] | None = None,
    max_payload: int = MAX_PAYLOAD_BYTES,
) -> AsyncIterator[RunningSystem]:
    """Run the server, ingest, `workers` compute workers and the bridge."""
    async with (
        start_server(folder / "nats", max_payload=max_payload) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(
            url=server.url,
            server_pid=server.pid,
            bus=bus,
            folder=folder,
            environment=environment or {},
            own=own or {},
        )
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(system.start, "ingest", "ingest")
                tasks.start_soon(system.start, "hwbridge", "hwbridge")
                for i in range(workers):
                    tasks.start_soon(system.start, f"compute-{i}", "compute")
            yield system
            codes = await system.stop_all()
            assert set(codes.values()) <= {0}, codes
        finally:
            for name in list(system.processes):
                system.kill(name)


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[RunningSystem]:
    """The whole system with two workers."""
    async with running_system(tmp_path) as running:
        yield running
