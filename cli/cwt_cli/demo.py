"""`pycwt-mod demo`: a real recording through the whole system, ending with a picture."""

from __future__ import annotations

import shutil
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

from cwt_cli.demo_picture import check_matplotlib, draw
from cwt_cli.demo_run import DemoRun
from cwt_cli.demo_summary import summarise, summary_in_words
from cwt_cli.event_text import events_in_words
from cwt_cli.faults import CommandError, expected_fault
from cwt_cli.page_key import page_with_key
from cwt_cli.piped_console import PipedConsole
from cwt_cli.ports import DEFAULT_HTTP_PORT, NO_GATEWAY, http_address
from cwt_cli.publish import read_definition
from cwt_cli.samples import DEFINITION, RECORDING, SIGNALS, SOURCE, shown
from cwt_cli.shell import command_log, program, run_command, stoppable
from cwt_cli.system import SystemPlan, running_system
from cwt_runtime.accounts.folder import write_accounts
from pycwt_client import Picture
from pycwt_client.sources.csv_file import read_recording

__all__ = ["demo"]

STREAM = "icu"
#: Columns of the picture, about its width in pixels.
COLUMNS = 1000

COHERENCE = """\
Coherence measures how steady the relation of two signals is at a frequency, from 0 to 1.
Unrelated signals stay below the 95 % level for 95 % of the time."""

TERMS = """\
An octave is a band of frequencies, from f to 2 f. A window is the stretch of signal from which a
worker computes a piece of one octave. An epoch is one run of a device, here one playback."""

MISSING = "The recording itself has no value for four samples of the respiration."

OPEN = "Open it in a browser: the coherence scrolls there while the recording plays."

STAYS = """\
{where} until Ctrl-C. Enter plays the recording again.
Other programs connect with {variables}"""

NEXT = """\
To feed the system yourself, start it and leave it running:
  {program} up
Play the recording into it, in another terminal:
  {program} publish {recording} --stream icu --define {definition}
Watch the results, in a third one:
  {program} watch icu"""


def demo(
    speed: Annotated[
        float, typer.Option(min=0, help="Playback speed (1 = real time; 0 = as fast as possible)")
    ] = (10),
    workers: Annotated[int, typer.Option(min=1, help="Number of compute workers")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of the recording to play")] = 600,
    out: Annotated[Path, typer.Option(help="Folder for the picture")] = Path("out"),
    keep: Annotated[
        bool | None,
        typer.Option(
            "--keep/--no-keep", help="Keep everything running until Ctrl-C (default: on a terminal)"
        ),
    ] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="Give each service a user with its own permissions")
    ] = False,
) -> None:
    """Analyse a recording of ten minutes with the whole system, and draw the coherence."""
    if keep is None:
        keep = sys.stdin.isatty() and sys.stdout.isatty()
    folder = Path("var/demo") / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    run_command(partial(_demo, speed, workers, seconds, out, keep, secure, folder))
    shutil.rmtree(folder, ignore_errors=True)  # after a failure, keep the logs


def _check_output(out: Path) -> None:
    """Fail immediately, and not after a minute, if the picture cannot be drawn."""
    check_matplotlib()
    out.mkdir(parents=True, exist_ok=True)


async def _demo(
    speed: float,
    workers: int,
    seconds: float,
    out: Path,
    keep: bool,
    secure: bool,
    folder: Path,
) -> None:
    _check_output(out)
    definition = read_definition(DEFINITION, STREAM)
    recording = read_recording(RECORDING).first(seconds, definition.fs_hz)
    run = DemoRun(definition, recording, speed)
    plan = SystemPlan(
        server=None,
        folder=folder,
        host="127.0.0.1",
        port=-1,
        workers=workers,
        http=http_address(DEFAULT_HTTP_PORT, or_any=True),
        log_folder=folder / "logs",
        accounts=folder / "accounts" if secure else None,
    )
    if plan.accounts is not None:
        write_accounts(plan.accounts, ())
    try:
        stopped = await stoppable(partial(_play, plan, run, out, keep))
    except Exception as error:
        fault = expected_fault(error)
        if fault is None:
            raise
        raise CommandError(f"{fault}. The logs are in {folder / 'logs'}") from error
    if stopped and not run.took_s:
        shutil.rmtree(folder, ignore_errors=True)
        raise CommandError("the demo was stopped before its end")
    names = {"recording": shown(RECORDING), "definition": shown(DEFINITION)}
    _console().print("\n" + NEXT.format(program=program(), **names))


async def _play(plan: SystemPlan, run: DemoRun, out: Path, keep: bool, kill: anyio.Event) -> None:
    console = _console()
    console.print(f"Recording: {SOURCE}; {run.duration_s:.0f} s at {run.definition.fs_hz:g} Hz")
    console.print(SIGNALS)
    console.print(COHERENCE)
    console.print(TERMS)
    services = ", ".join(f"{count} x {name}" for name, count in plan.instances.items())
    console.print(f"Starting a NATS server, {services} ...")
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(
            running_system(plan, command_log(quiet=True), kill=kill)
        )
        console.print(f"Server:  {system.server.address}")
        page = plan.http.page if plan.http else ""
        if plan.http and plan.accounts:
            page = await stack.enter_async_context(page_with_key(plan.http, system.client.bus))
        if page:
            console.print(f"Page:    {page}", style="bold")
            console.print(OPEN)
        else:
            console.print(NO_GATEWAY)
        await run.run(system.client, console)
        _conclude(run, out, console)
        if keep:
            where = f"The page is available at {page}" if page else "The system runs"
            variables = " ".join(f"{name}={text}" for name, text in system.server.variables.items())
            console.print("\n" + STAYS.format(where=where, variables=variables))
            while await _enter():
                console.print("Playing the recording again ...")
                await run.play_again(system.client)
                console.print("Finished. Enter plays it again; Ctrl-C stops everything.")
            await anyio.sleep_forever()


async def _enter() -> bool:
    """Wait for Enter; return False if the input has ended."""
    if not sys.stdin.isatty():
        return False
    await anyio.wait_readable(sys.stdin)
    return bool(sys.stdin.readline())


def _console() -> Console:
    return PipedConsole(soft_wrap=True, highlight=False, markup=False)


def _conclude(run: DemoRun, out: Path, console: Console) -> None:
    pictures: dict[tuple[str, ...], Picture] = {
        channels: scalogram.resample(COLUMNS, end=len(run.recording.samples))
        for channels, scalogram in sorted(run.scalograms.items())
    }
    if not pictures:
        raise CommandError("no results arrived: play more of the recording with --seconds")
    path = out / "coherence.png"
    draw(pictures, fs_hz=run.definition.fs_hz, duration_s=run.duration_s, path=path)
    console.print()
    for line in conclusion(run, pictures):
        console.print(line)
    console.print(f"Picture: {path}")


def conclusion(run: DemoRun, pictures: dict[tuple[str, ...], Picture]) -> list[str]:
    """Format the outcome of the run."""
    spec = run.definition.analyses[0]
    level = spec.significance.level if spec.significance else 0.95
    pairs = [
        summary_in_words((channels[0], channels[1]), summarise(picture), level)
        for channels, picture in pictures.items()
    ]
    return [
        f"{run.duration_s:.0f} s of recording in {run.took_s:.0f} s, {run.results} results.",
        *pairs,
        events_in_words(run.table.events),
        *([MISSING] if run.table.events["missing"] else []),
        f"Source: {SOURCE}",
    ]
