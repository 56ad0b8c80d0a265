"""The whole system as child processes: a server unless one is given, and the services around it."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from cwt_cli.discovery import ACCOUNT_INFO, wait_for_services
from cwt_cli.faults import USAGE, CommandError
from cwt_cli.supervisor import Program, ProgramFailedError, Supervisor
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusTimeoutError, NoRespondersError
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.telemetry.logs import Log
from cwt_runtime.urls import without_credentials
from pycwt_client import Client, connect

__all__ = ["RunningSystem", "SystemPlan", "running_system"]

#: Importing the numerical stack on a busy small machine takes several seconds.
START_TIMEOUT_S = 60.0
JETSTREAM_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class SystemPlan:
    """What is to run, and where."""

    #: An existing server to join; None: start one.
    url: str | None
    #: Data of the embedded server.
    folder: Path
    host: str
    #: -1: any free one.
    port: int
    workers: int
    #: Where the services' logs go; None: to this process's standard error.
    log_folder: Path | None = None

    @property
    def instances(self) -> dict[str, int]:
        """How many instances of each service."""
        return {"ingest": 1, "compute": self.workers, "hwbridge": 1}

    def programs(self) -> tuple[Program, ...]:
        """Return the services' processes."""
        return tuple(
            Program(
                name=name if count == 1 else f"{name}-{number}",
                command=(sys.executable, "-m", f"cwt_{name}"),
            )
            for name, count in self.instances.items()
            for number in range(1, count + 1)
        )


@dataclass(frozen=True, kw_only=True)
class RunningSystem:
    """A system that answers."""

    url: str
    client: Client


@asynccontextmanager
async def running_system(
    plan: SystemPlan, log: Log, *, kill: anyio.Event
) -> AsyncIterator[RunningSystem]:
    """Run the planned system while the context is open; leaving stops services, then the server.

    Once `kill` is set, services that are stopping are waited for no longer.

    Raises
    ------
    CommandError
        The port is taken, the given server has no JetStream, or the services do not come up or
        stay up.
    """
    async with AsyncExitStack() as stack:
        url, embedded = plan.url, None
        if url is None:
            check_port(plan.host, plan.port)
            server = start_server(plan.folder, host=plan.host, port=plan.port)
            embedded = await stack.enter_async_context(server)
            url = embedded.url
        if plan.log_folder is not None:
            plan.log_folder.mkdir(parents=True, exist_ok=True)
        client = await stack.enter_async_context(connect(url, name="pycwt-mod", log=log))
        await check_jetstream(client.bus, url)
        supervisor = Supervisor(
            plan.programs(),
            environment={**os.environ, "CWT_NATS_URL": url},
            log=log,
            log_folder=plan.log_folder,
            kill=kill,
        )
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(_supervise, supervisor)
        if embedded is not None:
            tasks.start_soon(_fail_with_server, embedded.pid, plan.folder)
        await wait_for_services(client.bus, plan.instances, timeout_s=START_TIMEOUT_S)
        yield RunningSystem(url=url, client=client)
        tasks.cancel_scope.cancel()


async def _supervise(supervisor: Supervisor) -> None:
    try:
        await supervisor.run()
    except* ProgramFailedError as group:
        raise CommandError(str(group.exceptions[0])) from None


async def _fail_with_server(pid: int, folder: Path) -> None:
    """Fail when the server ends by itself; whoever started it still has its exit code to read."""
    if not hasattr(os, "waitid"):
        return  # macOS before Python 3.13
    await anyio.to_thread.run_sync(
        os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT, abandon_on_cancel=True
    )
    raise CommandError(f"the NATS server ended; its log is {folder / 'nats-server.log'}")


async def check_jetstream(bus: Bus, url: str) -> None:
    """Raise a `CommandError` if the server keeps nothing, without which no service can start."""
    try:
        await bus.request(ACCOUNT_INFO, b"", timeout_s=JETSTREAM_TIMEOUT_S)
    except NoRespondersError:
        raise CommandError(
            f"the server at {without_credentials(url)} has no JetStream: start it with "
            "`nats-server -js`, or let `pycwt-mod up` start one without CWT_NATS_URL"
        ) from None
    except BusTimeoutError:
        return  # a cluster that has no leader at the moment: the services wait for it


def check_port(host: str, port: int) -> None:
    """Raise a `CommandError` if a server could not listen there."""
    if port <= 0:
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(
                    f"port {port} on {host} is taken. If a NATS server runs there, join it with "
                    f"CWT_NATS_URL=nats://{host}:{port}; otherwise choose another with --port"
                ) from None
            raise CommandError(
                f"cannot listen on {host}:{port}: {error.strerror or error}", USAGE
            ) from None
