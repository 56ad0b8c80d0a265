"""`pycwt-mod publish`: a recorded file into a stream."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.faults import USAGE, CommandError
from cli.player import play
from cli.recording import Recording, read_recording
from cli.samples import DEFINITION, shown
from cli.shell import command_log, run_command, server_url
from pycwt_client import Client, connect, new_epoch
from schemas.codec import ContentType, decode
from schemas.errors import ContractError, NotFound
from schemas.stream import StreamDefinition

__all__ = ["publish"]


def publish(
    file: Annotated[Path, typer.Argument(help="comma-separated columns; may end in .gz")],
    stream: Annotated[str, typer.Option(help="the stream to publish to")],
    fs: Annotated[float | None, typer.Option(help="sampling rate in Hz, if the file has none")] = (
        None
    ),
    speed: Annotated[float, typer.Option(min=0, help="times real time; 0: as fast as it goes")] = 1,
    chunk_s: Annotated[float, typer.Option(min=0.001, help="seconds in one chunk")] = 0.2,
    epoch: Annotated[
        str | None, typer.Option(help="name of this run; the same one again repeats nothing")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="columns to send, such as ecg,abp")] = None,
    define: Annotated[
        Path | None, typer.Option(help="define the stream first, from this JSON file")
    ] = None,
) -> None:
    """Publish a recorded file as the device that recorded it would have."""
    run_command(partial(_publish, file, stream, fs, speed, chunk_s, epoch, columns, define))


async def _publish(
    file: Path,
    stream: str,
    fs: float | None,
    speed: float,
    chunk_s: float,
    epoch: str | None,
    columns: str | None,
    define: Path | None,
) -> None:
    recording = read_recording(file)
    if columns is not None:
        recording = recording.selected(tuple(name.strip() for name in columns.split(",")))
    wanted = None if define is None else read_definition(define, stream)
    log = command_log(quiet=True)
    async with connect(server_url(), name="pycwt-mod publish", log=log) as client:
        definition = await _defined(client, stream, wanted)
        fs_hz = rate_of(recording, definition, fs)
        check_columns(recording, definition)
        run = epoch or new_epoch()
        with _progress(len(recording.samples)) as progress:
            bar = progress.add_task(stream, total=len(recording.samples))
            async with client.publisher(stream, run) as publisher:
                await play(
                    recording,
                    publisher,
                    fs_hz=fs_hz,
                    chunk_s=chunk_s,
                    speed=speed,
                    played=lambda samples: progress.update(bar, completed=samples),
                )
    typer.echo(
        f"{publisher.kept} chunks of {stream} kept under epoch {run}, "
        f"{publisher.duplicates} of them were there already"
    )


def read_definition(path: Path, stream: str) -> StreamDefinition:
    """Return the definition in a JSON file, which has to be of `stream`."""
    try:
        definition = decode(StreamDefinition, path.read_bytes(), ContentType.JSON)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", USAGE) from None
    except ContractError as error:
        raise CommandError(f"{path} is no stream definition: {error.message}", USAGE) from None
    if definition.name != stream:
        raise CommandError(
            f"{path} defines the stream {definition.name}, not {stream}: say "
            f"--stream {definition.name}, or change the name in the file",
            USAGE,
        )
    return definition


async def _defined(
    client: Client, stream: str, wanted: StreamDefinition | None
) -> StreamDefinition:
    if wanted is not None:
        return (await client.put_stream(wanted)).definition
    try:
        return (await client.get_stream(stream)).definition
    except NotFound:
        raise CommandError(
            f"no stream is called {stream}: define it with --define FILE.json "
            f"({shown(DEFINITION)} is an example), or with cwt.stream.put"
        ) from None


def rate_of(recording: Recording, definition: StreamDefinition, fs: float | None) -> float:
    """Return the sampling rate: as asked, else as the file says, else as the stream is defined."""
    rate = fs or recording.fs_hz or definition.fs_hz
    if abs(rate - definition.fs_hz) > 1e-9 * rate:
        raise CommandError(
            f"the recording has {rate:g} Hz and the stream {definition.name} is defined with "
            f"{definition.fs_hz:g} Hz: correct one with --fs or --define",
            USAGE,
        )
    return rate


def check_columns(recording: Recording, definition: StreamDefinition) -> None:
    """Raise a `CommandError` if the columns cannot be the stream's channels."""
    columns, channels = recording.columns, definition.channel_names
    if len(columns) != len(channels):
        raise CommandError(
            f"the recording has the columns {', '.join(columns)} and the stream the channels "
            f"{', '.join(channels)}: choose as many, in that order, with --columns",
            USAGE,
        )


def _progress(samples: int) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("samples"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=samples == 0,
    )
