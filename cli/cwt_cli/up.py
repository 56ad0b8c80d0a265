"""`pycwt-mod up`: run the whole system until Ctrl-C."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from cwt_cli.faults import USAGE, CommandError
from cwt_cli.page_key import page_with_key
from cwt_cli.piped_console import PipedConsole
from cwt_cli.ports import DEFAULT_HTTP_PORT, NO_GATEWAY, check_host, check_port, http_address
from cwt_cli.samples import DEFINITION, RECORDING, shown
from cwt_cli.shell import command_log, given_server, program, run_command, stoppable
from cwt_cli.system import SystemPlan, running_system
from cwt_runtime.accounts.folder import password_file, settings_of, write_accounts
from cwt_runtime.accounts.users import analyst, device, reader, service_users
from cwt_runtime.connect_settings import DEFAULT_URL
from cwt_runtime.telemetry.logs import Log

__all__ = ["up"]

GATEWAY = """\
Page:    {http.page}
HTTP:    {http.origin}/docs
"""

WHAT_RUNS = """\
Running: {services}
Server:  {address}
Data:    {data}"""

TRY_NEXT = """\
Try in another terminal{hint}:
  nats req cwt.query.health ''
  {program} publish {recording} --stream icu --define {definition}
  {program} watch

"""
#: Shown to the user of this terminal; the key is revoked when the system stops.
PAGE_WITH_KEY = """\
The page, signed in as the operator (`pycwt-mod key add` makes keys for others):
  {page}"""
STOP = "Ctrl-C finishes the work in progress and stops; a second Ctrl-C stops immediately."

#: Users in addition to those of the services for which `--secure` creates accounts.
CLIENTS = (device("icu", ("icu",)), reader("reader"), analyst("analyst"))


def up(
    workers: Annotated[int, typer.Option(min=1, help="Number of compute workers")] = 2,
    data: Annotated[Path, typer.Option(help="Folder for the data of the server")] = Path(
        "var/data"
    ),
    port: Annotated[
        int, typer.Option(min=-1, max=65535, help="Port of the server (-1: any free one)")
    ] = 4222,
    host: Annotated[str, typer.Option(help="Address that the server listens on")] = "127.0.0.1",
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Allow other machines to connect although the server has no passwords",
        ),
    ] = False,
    secure: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the accounts of the server, created if it has no passwords: each "
            "service, device and person gets its own user"
        ),
    ] = None,
    http_port: Annotated[
        int,
        typer.Option(
            min=-1,
            max=65535,
            envvar="CWT_HTTP_PORT",
            help="Port of the web page and the HTTP interface (-1: any free one)",
        ),
    ] = DEFAULT_HTTP_PORT,
) -> None:
    """Run the server and all services until Ctrl-C, or only the services if CWT_NATS_URL is set."""
    run_command(partial(_up, workers, data, port, host, http_port, insecure, secure))


async def _up(
    workers: int,
    data: Path,
    port: int,
    host: str,
    http_port: int,
    insecure: bool,
    secure: Path | None,
) -> None:
    server = given_server()
    if server is None:
        if secure is None:
            check_host(host, insecure=insecure)
        check_port(host, port)
        if secure is not None:
            ensure_accounts(secure)
    elif secure is not None:
        raise CommandError("cannot use --secure with an existing server: unset CWT_NATS_URL", USAGE)
    plan = SystemPlan(
        server=server,
        folder=data,
        host=host,
        port=port,
        workers=workers,
        http=http_address(http_port),
        accounts=secure,
    )
    await stoppable(partial(_run, plan, command_log()))


def ensure_accounts(folder: Path) -> None:
    """Write the accounts of `CLIENTS` to a folder without passwords, such as ``deploy/nats``."""
    if not (folder / "passwords.conf").exists():
        write_accounts(folder, CLIENTS)


async def _run(plan: SystemPlan, log: Log, kill: anyio.Event) -> None:
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(running_system(plan, log, kill=kill))
        console = PipedConsole()
        welcome(plan, system.server.address, console)
        if plan.http is not None and plan.accounts is not None:
            page = await stack.enter_async_context(page_with_key(plan.http, system.client.bus))
            console.print(PAGE_WITH_KEY.format(page=page), soft_wrap=True, highlight=False)
        await anyio.sleep_forever()


def users_text(folder: Path, address: str) -> str:
    """Return the variables with which each user connects; passwords stay in their files."""
    lines = ["Each user connects with its own variables:"]
    people = (each for each in service_users() if each.name in {"doctor", "operator"})
    for user in (*CLIENTS, *people):
        if password_file(folder, user.name).exists():
            variables = settings_of(user, folder, address).variables
            lines.append("  " + " ".join(f"{name}={text}" for name, text in variables.items()))
    return "\n".join((*lines, "", STOP))


def welcome(plan: SystemPlan, address: str, console: Console) -> None:
    """Print the addresses of the running system, and commands to try."""
    services = ", ".join(f"{count} x {name}" for name, count in plan.instances.items())
    data = "stored by that server" if plan.server else plan.folder
    what = GATEWAY.format(http=plan.http) if plan.http else f"{NO_GATEWAY}\n"
    what += WHAT_RUNS.format(services=services, address=address, data=data)
    console.print(Panel(Text(what), title="pycwt-mod", expand=False))
    if plan.accounts is not None:
        console.print(users_text(plan.accounts, address), soft_wrap=True, markup=False)
        return
    hint = "" if address == DEFAULT_URL else f", with CWT_NATS_URL={address}"
    # Print outside the panel and unwrapped, so that commands can be copied.
    names = {"recording": shown(RECORDING), "definition": shown(DEFINITION)}
    text = TRY_NEXT.format(hint=hint, program=program(), **names) + STOP
    console.print(text, soft_wrap=True, markup=False, highlight=False)
