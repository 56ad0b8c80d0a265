"""The system as child processes: the services, and a server unless an existing one is used."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from cwt_cli.discovery import wait_for_services
from cwt_cli.faults import CommandError
from cwt_cli.ports import HttpAddress, server_names
from cwt_cli.supervisor import (
    RESTART,
    STEADY_S,
    Program,
    ProgramFailedError,
    Supervisor,
    after_end,
)
from cwt_runtime.accounts.folder import password_file, settings_of
from cwt_runtime.accounts.users import service_users
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusTimeoutError, BusUnreachableError, NoRespondersError
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.process.embedded_server import ServerProcess, open_server
from cwt_runtime.retry import GiveUp
from cwt_runtime.settings import StorageSettings, load_settings
from cwt_runtime.storage.health import ACCOUNT_INFO
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import Action, Log
from pycwt_client import Client, connect

__all__ = ["RunningSystem", "SystemPlan", "running_system"]

#: Start-up timeout; importing the numerical stack on a small, busy machine takes seconds.
START_TIMEOUT_S = 60.0
JETSTREAM_TIMEOUT_S = 2.0
#: Interval between checks of whether the server can write.
WRITABLE_EVERY_S = 5.0
#: Free disk space, a few of the server's files, at which a server that failed to write is
#: restarted.
ROOM_BYTES = 64 * 1024 * 1024
#: Name of the embedded server in the log.
SERVER = "nats-server"


@dataclass(frozen=True, kw_only=True)
class SystemPlan:
    """The processes to run, and their addresses and folders."""

    #: An existing server to use; None: start one.
    server: ConnectSettings | None
    #: Data folder of the embedded server.
    folder: Path
    host: str
    #: Port of the embedded server; -1: any free one.
    port: int
    workers: int
    #: Address of the gateway; None: do not start one.
    http: HttpAddress | None = None
    #: Folder for the services' logs; None: this process's standard error.
    log_folder: Path | None = None
    #: Accounts of the embedded server, as `pycwt-mod accounts` writes them; None: no users.
    accounts: Path | None = None
    #: Whether an embedded server with accounts requires TLS.
    tls: bool = True

    @property
    def instances(self) -> dict[str, int]:
        """Number of instances of each service."""
        counts = {"ingest": 1, "compute": self.workers, "hwbridge": 1}
        return counts if self.http is None else {**counts, "gateway": 1}

    def environment(self, url: str) -> dict[str, str]:
        """Return the environment of the services that use the server at `url`.

        Credentials in the environment are for the server that it names, not for the embedded one.
        """
        own = {"CWT_NATS_URL": url}
        if self.http is not None:
            own["CWT_HTTP_PORT"] = str(self.http.port)
        if self.http is not None and self.http.listening is not None:
            own["CWT_HTTP_SOCKET"] = str(self.http.listening.fileno())
        is_own_server = self.server is None
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not (is_own_server and name.startswith("CWT_NATS_"))
        }
        return {**inherited, **own}

    def connection_of(self, name: str, url: str) -> ConnectSettings:
        """Return the connection settings of user `name` for the embedded server at `url`."""
        if self.accounts is None:
            return ConnectSettings(url=url)
        user = next(each for each in service_users() if each.name == name)
        return settings_of(user, self.accounts, url)

    def programs(self, url: str) -> tuple[Program, ...]:
        """Return the programs of the services that use the server at `url`."""
        return tuple(
            Program(
                name=name if count == 1 else f"{name}-{number}",
                # With -P, files in the current directory cannot shadow modules.
                command=(sys.executable, "-P", "-m", f"cwt_{name}"),
                variables=self._variables(name, url),
                descriptors=self._descriptors(name),
            )
            for name, count in self.instances.items()
            for number in range(1, count + 1)
        )

    def _descriptors(self, name: str) -> tuple[int, ...]:
        listening = self.http.listening if self.http and name == "gateway" else None
        return () if listening is None else (listening.fileno(),)

    def _variables(self, name: str, url: str) -> dict[str, str]:
        if self.accounts is None:
            return {}
        more = {
            "ingest": {"CWT_COPIES": "true", "CWT_DEFINED_ONLY": "true"},
            # Absolute: the working directory of a service is its own business.
            "gateway": {"CWT_HTTP_USERS": str(password_file(self.accounts, "").resolve())},
        }
        return {**self.connection_of(name, url).variables, **more.get(name, {})}


@dataclass(frozen=True, kw_only=True)
class RunningSystem:
    """A running system."""

    server: ConnectSettings
    client: Client


@asynccontextmanager
async def running_system(
    plan: SystemPlan, log: Log, *, kill: anyio.Event
) -> AsyncIterator[RunningSystem]:
    """Run the planned system while the context is open; exit stops the services, then the server.

    If `kill` is set, stopping services are killed without waiting for them.

    Raises
    ------
    CommandError
        The existing server has no JetStream, or a service fails to start or to keep running.
    """
    async with AsyncExitStack() as stack:
        if plan.http is not None:
            stack.callback(plan.http.close)
        server = plan.server
        if server is None:
            secured = "" if plan.accounts is None else _secured(plan.accounts, plan)
            opened = open_server(plan.folder, host=plan.host, port=plan.port, settings=secured)
            own = await stack.enter_async_context(opened)
            server = plan.connection_of("operator", (await own.start()).url)
            keeping = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(keeping.cancel_scope.cancel)
            keeping.start_soon(_keep_running, own, log)
            keeping.start_soon(_keep_writable, own, log)
        if plan.log_folder is not None:
            plan.log_folder.mkdir(parents=True, exist_ok=True)
        client = await stack.enter_async_context(connect(server, name="pycwt-mod", log=log))
        await check_jetstream(client.bus, server.address)
        # With accounts, only ingest may create streams; declare them before the services start.
        if plan.accounts is not None:
            await client.bus.log.declare(system_topology(load_settings(StorageSettings)))
        supervisor = Supervisor(
            plan.programs(server.url),
            environment=plan.environment(server.url),
            log=log,
            log_folder=plan.log_folder,
            kill=kill,
        )
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(_supervise, supervisor)
        await wait_for_services(client.bus, plan.instances, timeout_s=START_TIMEOUT_S)
        yield RunningSystem(server=server, client=client)
        tasks.cancel_scope.cancel()


def _secured(accounts: Path, plan: SystemPlan) -> str:
    """Return the lines on users and TLS for the server's configuration."""
    # The server accepts relative paths of included files.
    path = os.path.relpath(accounts / "accounts.conf", plan.folder)
    users = f"include {json.dumps(path)}\n"
    if not plan.tls:
        return users
    # Import here, because importing the driver takes longer than most commands run.
    from cwt_runtime.accounts.certificates import tls_config, write_certificates

    write_certificates(accounts, server_names(plan.host))
    return users + tls_config(accounts)


async def _supervise(supervisor: Supervisor) -> None:
    try:
        await supervisor.run()
    except* ProgramFailedError as group:
        raise CommandError(str(group.exceptions[0])) from None


async def _keep_running(server: ServerProcess, log: Log) -> None:
    """Restart the server with the same data and port if it exits."""
    tries, fault = 0, ""
    while True:
        began = anyio.current_time()
        code = await server.ended()
        tries = 1 if anyio.current_time() - began > STEADY_S else tries + 1
        decision = after_end(code, tries=tries, policy=RESTART)
        if isinstance(decision, GiveUp):
            log.error(Action.CHILD_DIED, child=SERVER, exit_code=code)
            raise CommandError(
                f"cannot keep the NATS server running: {fault or decision.reason}; see its log "
                f"{server.log_path}"
            )
        log.warning(
            Action.CHILD_DIED, child=SERVER, exit_code=code, again_in_s=round(decision.delay_s, 1)
        )
        await anyio.sleep(decision.delay_s)
        try:
            log.info(Action.CHILD_STARTED, child=SERVER, pid=(await server.start()).pid)
        except BusUnreachableError as error:
            fault = str(error)  # if the server is still starting, `ended` waits for it
        else:
            fault = ""


async def _keep_writable(server: ServerProcess, log: Log) -> None:
    """Stop the server after a failed write, so that `_keep_running` restarts it.

    Only a restart clears the failed state.
    """
    reported = ""
    while True:
        await anyio.sleep(WRITABLE_EVERY_S)
        problem = await server.write_error()
        has_room = shutil.disk_usage(server.folder).free >= ROOM_BYTES
        if problem and has_room:
            log.warning(Action.SERVER_UNWRITABLE, detail=f"{problem}; restarting the server")
            await server.stop()
        elif problem and problem != reported:
            log.error(Action.SERVER_UNWRITABLE, detail=f"{problem}: free disk space")
        reported = problem


async def check_jetstream(bus: Bus, address: str) -> None:
    """Raise a `CommandError` if the server has no JetStream, which every service needs."""
    try:
        await bus.request(f"{bus.log.api}.{ACCOUNT_INFO}", b"", timeout_s=JETSTREAM_TIMEOUT_S)
    except NoRespondersError:
        raise CommandError(
            f"the server at {address} has no JetStream: start it with "
            "`nats-server -js`, or unset CWT_NATS_URL to let `pycwt-mod up` start a server"
        ) from None
    except BusTimeoutError:
        return  # a cluster without a leader: the services wait for one
