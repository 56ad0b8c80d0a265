"""`pycwt-mod up`: the whole system until Ctrl-C."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.panel import Panel

from cwt_cli.piped_console import PipedConsole
from cwt_cli.samples import DEFINITION, RECORDING, shown
from cwt_cli.shell import command_log, given_url, program, run_command, stoppable
from cwt_cli.system import SystemPlan, running_system
from cwt_runtime.telemetry.logs import Log

__all__ = ["up"]

#: What the other commands use without being told.
DEFAULT_URL = "nats://127.0.0.1:4222"

WHAT_RUNS = """\
Running: {services}
Server:  {url}
Data:    {data}"""

TRY_NEXT = """\
Try in another terminal{hint}:
  nats req cwt.query.health ''
  {program} publish {recording} --stream icu --define {definition}
  {program} watch

Ctrl-C stops everything in order; a second Ctrl-C does not wait."""


def up(
    workers: Annotated[int, typer.Option(min=1, help="Number of compute workers")] = 2,
    data: Annotated[Path, typer.Option(help="where the embedded server keeps its data")] = Path(
        "var/data"
    ),
    port: Annotated[int, typer.Option(min=-1, max=65535, help="-1: any free one")] = 4222,
    host: Annotated[str, typer.Option(help="address the server listens on")] = "127.0.0.1",
) -> None:
    """Run server and services until Ctrl-C; CWT_NATS_URL joins a server that runs already."""
    run_command(partial(_up, workers, data, port, host))


async def _up(workers: int, data: Path, port: int, host: str) -> None:
    plan = SystemPlan(url=given_url(), folder=data, host=host, port=port, workers=workers)
    await stoppable(partial(_run, plan, command_log()))


async def _run(plan: SystemPlan, log: Log, kill: anyio.Event) -> None:
    async with running_system(plan, log, kill=kill) as system:
        welcome(plan, system.url, PipedConsole())
        await anyio.sleep_forever()


def welcome(plan: SystemPlan, url: str, console: Console) -> None:
    """Print what the user needs to know of a system that came up."""
    services = ", ".join(f"{count} x {name}" for name, count in plan.instances.items())
    data = "kept by that server" if plan.url else plan.folder
    what = WHAT_RUNS.format(services=services, url=url, data=data)
    console.print(Panel(what, title="pycwt-mod", expand=False))
    hint = "" if url == DEFAULT_URL else f", with CWT_NATS_URL={url}"
    # Outside the panel and unwrapped, so that a command can be copied.
    names = {"recording": shown(RECORDING), "definition": shown(DEFINITION)}
    text = TRY_NEXT.format(hint=hint, program=program(), **names)
    console.print(text, soft_wrap=True, markup=False, highlight=False)
