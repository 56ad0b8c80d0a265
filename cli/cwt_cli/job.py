"""`pycwt-mod job`: submit many analyses as one job, watch it, and fetch its results."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import anyio
import numpy as np
import orjson
import typer
from rich.console import Console

from cwt_cli.answer_text import fields_of, json_of
from cwt_cli.faults import FAILED, USAGE, CommandError
from cwt_cli.help_examples import examples
from cwt_cli.job_display import job_lines, result_line, show_progress, state_lines
from cwt_cli.job_tasks import Transform, read_tasks, tasks_of_files
from cwt_cli.names import checked_name
from cwt_cli.query import check_choices
from cwt_cli.shell import command_log, run_command, server
from cwt_cli.transform_options import (
    BackendOption,
    ChannelsOption,
    DjOption,
    McCountOption,
    MethodOption,
    ParamOption,
    RateOption,
    ResampleOption,
    SeedOption,
    SignificanceLevelOption,
    WaveletOption,
)
from cwt_schemas.job import JobStatus
from pycwt_client import Client, Job, TaskResult, connect

__all__ = ["job"]

job = typer.Typer(
    name="job",
    no_args_is_help=True,
    help="Compute many transforms in the background, and store their results.",
)

JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="Id of the job, as printed by submit", callback=checked_name
    ),
]


@job.command(epilog=examples("job submit"))
def submit(
    op: Annotated[
        str,
        typer.Argument(
            metavar="cwt|xwt|wct|tasks",
            help="cwt of each channel, xwt or wct of each pair of channels of a file, or the tasks "
            "of a JSON file",
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Recordings, as for query; with tasks: JSON files, or - for standard input",
        ),
    ],
    channels: ChannelsOption = None,
    fs: RateOption = None,
    resample: ResampleOption = None,
    dj: DjOption = 0.25,
    significance_level: SignificanceLevelOption = 0.95,
    wavelet: WaveletOption = "morlet",
    param: ParamOption = -1,
    method: MethodOption = "montecarlo",
    mc_count: McCountOption = 300,
    seed: SeedOption = None,
    backend: BackendOption = "sequential",
    name: Annotated[str | None, typer.Option(help="Name of the job, shown by job list")] = None,
    job_id: Annotated[
        str | None,
        typer.Option(
            "--id", help="Id of the job (default: computed from its tasks)", callback=checked_name
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the progress until the job ends")
    ] = False,
) -> None:
    """Submit a job and print its id. Submitting an identical job returns the existing one."""
    if op not in {*get_args(Transform), "tasks"}:
        raise typer.BadParameter(f"the operation must be cwt, xwt, wct or tasks, not {op!r}")
    check_choices(wavelet=wavelet, method=method)
    options: dict[str, Any] = {"dj": dj, "mother": wavelet, "param": param}
    if op in {"xwt", "wct"}:
        options["significance_level"] = significance_level
    if op == "wct":
        options |= {"method": method, "mc_count": mc_count, "seed": seed, "backend": backend}

    async def work(client: Client) -> None:
        if op == "tasks":
            labels: list[str] = []
            tasks = [task for file in files for task in await _tasks_in(Path(file))]
        else:
            transform = cast("Transform", op)
            labels, tasks = await tasks_of_files(
                transform, files, channels, fs, options, resample_hz=resample
            )
        handed = await client.submit(tasks, name=name, job_id=job_id)
        for index, label in enumerate(labels):
            typer.echo(f"{index}: {label}", err=True)
        typer.echo(handed.job_id)
        if watch:
            await _watch(handed)

    _with_client(work)


@job.command()
def status(job_id: JobId) -> None:
    """Show the status of a job and its failed tasks."""

    async def work(client: Client) -> None:
        for line in state_lines(await client.job(job_id).state(tasks=True)):
            typer.echo(line)

    _with_client(work)


@job.command()
def watch(job_id: JobId) -> None:
    """Show the progress of a job until it ends; exits with 1 unless every task succeeded."""

    async def work(client: Client) -> None:
        await _watch(client.job(job_id))

    _with_client(work)


@job.command(epilog=examples("job results"))
def results(
    job_id: JobId,
    out: Annotated[
        Path | None, typer.Option(help="Folder to save each reply in, as a NumPy archive")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each reply as JSON, one per line")
    ] = False,
) -> None:
    """Print the outcome of each task as it arrives, until the job ends."""

    async def work(client: Client) -> None:
        if out is not None:
            await anyio.Path(out).mkdir(parents=True, exist_ok=True)
        async for each in client.job(job_id).results():
            if out is not None and each.answer is not None:
                np.savez_compressed(out / f"{each.index}.npz", **fields_of(each.answer))
            if as_json:
                sys.stdout.buffer.write(_json_line(each))
                sys.stdout.buffer.flush()
            else:
                typer.echo(result_line(each))

    _with_client(work)


@job.command()
def cancel(job_id: JobId) -> None:
    """Cancel a job. Running tasks are stopped, and the others are not started."""
    _with_client(partial(_change, job_id, Job.cancel))


@job.command()
def retry(job_id: JobId) -> None:
    """Retry the failed and cancelled tasks of a job."""
    _with_client(partial(_change, job_id, Job.retry))


@job.command("list")
def list_jobs(
    status: Annotated[
        str | None, typer.Option(help="Only jobs with this status: queued, running, completed, ...")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of jobs")] = 100,
) -> None:
    """List jobs, newest first."""
    if status is not None and status not in set(JobStatus):
        raise typer.BadParameter(f"--status must be one of {', '.join(JobStatus)}, not {status!r}")

    async def work(client: Client) -> None:
        jobs = await client.jobs(None if status is None else JobStatus(status), limit=limit)
        for line in job_lines(jobs) if jobs else ["no jobs"]:
            typer.echo(line)

    _with_client(work)


def _with_client(work: Callable[[Client], Awaitable[None]]) -> None:
    async def connected() -> None:
        log = command_log(quiet=True)
        async with connect(server(), name="pycwt-mod job", log=log) as client:
            await work(client)

    run_command(connected)


async def _tasks_in(path: Path) -> list[Any]:
    if str(path) == "-":
        return read_tasks(await anyio.to_thread.run_sync(sys.stdin.buffer.read), "standard input")
    try:
        body = await anyio.Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from None
    return read_tasks(body, str(path))


async def _watch(watched: Job) -> None:
    await show_progress(watched.progress(), Console(stderr=True, soft_wrap=True))
    state = await watched.state(tasks=True)
    for line in state_lines(state):
        typer.echo(line, err=True)
    if state.status is not JobStatus.COMPLETED:
        raise typer.Exit(FAILED)


async def _change(job_id: str, change: Callable[[Job], Awaitable[Any]], client: Client) -> None:
    for line in state_lines(await change(client.job(job_id))):
        typer.echo(line)


def _json_line(result: TaskResult) -> bytes:
    fields: dict[str, Any] = {"task_id": result.index, "worker": result.worker}
    if result.answer is not None:
        fields["result"] = json_of(result.answer)
    if result.error is not None:
        fields["error"] = {"code": result.error.code, "message": result.error.message}
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
