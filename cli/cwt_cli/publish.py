"""`pycwt-mod publish`: publish a recording or a device to a stream."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, cast

import anyio
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cwt_cli.faults import USAGE, CommandError
from cwt_cli.names import checked_name, split_names
from cwt_cli.publish_report import PublishReport, failure
from cwt_cli.samples import DEFINITION, shown
from cwt_cli.shell import command_log, run_command, server, stoppable, warn
from cwt_cli.transform_options import ResampleOption
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.errors import ContractError, NotFound
from cwt_schemas.sampling_rate import RATE_TOLERANCE
from cwt_schemas.stream import StreamDefinition, StreamStatus
from pycwt_client import Client, Publisher, connect, new_epoch
from pycwt_client.definition import Analyses, derived_definition
from pycwt_client.feedback import misgiving
from pycwt_client.sources import (
    Resampled,
    Signals,
    SourceInfo,
    measured_fs_hz,
    named_source,
    play,
)
from pycwt_client.sources.rate import RateChecked
from pycwt_client.sources.source import CHUNK_S

__all__ = ["publish"]


#: Value of --coherence for all pairs of channels.
ALL_PAIRS = "all"
#: Size of results per second of which `publish` warns: a gigabyte in less than twenty minutes.
LARGE_BYTES_PER_S = 1_000_000

#: Value of --fs.
Rate = float | Literal["measured"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """The command line before validation."""

    file: str | None
    source: str | None
    stream: str
    fs_hz: Rate | None
    resample_hz: float | None
    speed: float
    chunk_s: float | None
    epoch: str | None
    channels: str | None
    define: Path | None
    power: str | None
    coherence: list[str]
    band: str | None


def publish(
    stream: Annotated[
        str,
        typer.Option(
            help="Stream to publish to, such as night; a new one needs --define, --power or "
            "--coherence",
            callback=checked_name,
        ),
    ],
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="Recording: CSV, WAV, EDF, XDF, NumPy, BrainVision, ..."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Source instead of FILE: csv:FILE, wav:FILE, edf:FILE, xdf:FILE, "
            "xdf:FILE#STREAM, numpy:FILE, parquet:FILE, openbci:FILE, empatica:FILE, wfdb:RECORD, "
            "mseed:FILE, mne:FILE, lsl:NAME, lsl:type=EEG, brainflow:BOARD,serial_port=PORT"
        ),
    ] = None,
    fs: Annotated[
        str | None,
        typer.Option(
            metavar="HZ|measured",
            help="Sampling rate in Hz, instead of that of the source; measured: computed from its "
            "time stamps",
        ),
    ] = None,
    resample: ResampleOption = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0, help="Playback speed of a recording (1 = real time; 0 = as fast as possible)"
        ),
    ] = 1,
    chunk: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Seconds of signal per chunk (default: 0.2, for a device 0.02)"
        ),
    ] = None,
    epoch: Annotated[
        str | None,
        typer.Option(
            help="Name of this run (default: a new one). To continue an interrupted run, give its "
            "name: samples that are already stored are not sent again"
        ),
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Channels to publish, such as ecg,abp (default: all)")
    ] = None,
    define: Annotated[
        Path | None, typer.Option(help="JSON file with the definition of the stream")
    ] = None,
    power: Annotated[
        str | None,
        typer.Option(help="Define the stream with the power of these channels, such as c3,c4"),
    ] = None,
    coherence: Annotated[
        list[str] | None,
        typer.Option(
            help="Define the stream with the coherence of two channels, such as c3,c4, repeatable; "
            "or of all pairs of channels: all"
        ),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            help="Lowest and highest frequency of --power and --coherence in Hz, such as 2,40"
        ),
    ] = None,
) -> None:
    """Publish a recording, or the samples of a device as they arrive, to a stream."""
    order = Order(
        file=file, source=source, stream=stream, fs_hz=parse_rate(fs), resample_hz=resample,
        speed=speed, chunk_s=chunk, epoch=epoch, channels=channels, define=define,
        power=power, coherence=coherence or [], band=band,
    )  # fmt: skip
    run_command(partial(_publish, order))


def parse_rate(text: str | None) -> Rate | None:
    """Parse --fs.

    Raises
    ------
    typer.BadParameter
        The text is neither a positive number nor ``measured``.
    """
    if text is None or text == "measured":
        return cast("Literal['measured'] | None", text)
    try:
        fs_hz = float(text)
    except ValueError:
        fs_hz = 0.0
    if not 0 < fs_hz < math.inf:
        raise typer.BadParameter(
            f"--fs must be a rate in Hz, such as 125, or measured, not {text!r}"
        )
    return fs_hz


def the_source(file: str | None, source: str | None) -> str:
    """Return the source, from one of two options."""
    sources = [each for each in (file, source) if each is not None]
    if len(sources) != 1:
        raise CommandError("give either FILE or --source", USAGE)
    return sources[0]


async def _publish(order: Order) -> None:
    analyses = parse_analyses(order.power, order.coherence, order.band)
    if analyses is not None and order.define is not None:
        raise CommandError(
            "--define excludes --power and --coherence: the file defines the analyses", USAGE
        )
    requested = None if order.define is None else read_definition(order.define, order.stream)
    find = partial(
        named_source,
        the_source(order.file, order.source),
        channels=None if order.channels is None else split_names(order.channels),
        chunk_s=order.chunk_s,
    )
    find()  # report a missing file before a missing server
    log = command_log(quiet=True)
    async with connect(server(), name="pycwt-mod publish", log=log) as client:
        known = requested or await _known(client, order.stream)
        # The stream's rate does not apply to a recording before it is resampled.
        known_hz = None if known is None or order.resample_hz is not None else known.fs_hz
        fs_hz = order.fs_hz
        if fs_hz == "measured":
            fs_hz = near(known_hz, await measured_fs_hz(find()))
        source = find(fs_hz=fs_hz, assumed_fs_hz=known_hz)
        if order.resample_hz is not None:
            source = Resampled(source, order.resample_hz, chunk_s=order.chunk_s or CHUNK_S)
        async with source.open() as signals:
            for text in signals.info.warnings:
                warn(text)
            if analyses is not None:
                requested = derived_definition(order.stream, signals.info, analyses)
            definition = requested or known
            if definition is None:
                raise CommandError(
                    f"stream {order.stream} does not exist: define it with --define FILE.json "
                    f"({shown(DEFINITION)} is an example), or with --coherence A,B --band 2,40"
                )
            check_rate(signals.info, definition)
            check_channels(signals.info, definition)
            if requested is not None:
                rate = (await client.put_stream(requested)).results_bytes_per_s
                if rate is not None and rate >= LARGE_BYTES_PER_S:
                    warn(f"the results take {rate / 1e6:.3g} MB per second of signal")
            await _send(client, order, signals)


async def _known(client: Client, stream: str) -> StreamDefinition | None:
    try:
        return (await client.get_stream(stream)).definition
    except NotFound:
        return None


async def _send(client: Client, order: Order, signals: Signals) -> None:
    run = order.epoch or new_epoch()
    status = await client.get_stream(order.stream)
    if is_there(status, run, signals.info):
        typer.echo(
            f"0 chunks of {order.stream} stored in epoch {run}: all {signals.info.n_samples} "
            "samples were already stored"
        )
        return
    with _progress(signals.info) as progress:
        bar = progress.add_task(order.stream, total=signals.info.n_samples)
        report = PublishReport(
            progress.console, run if status.epoch in status.ended_epochs else None
        )

        async def sent(publisher: Publisher) -> None:
            await play(
                RateChecked(signals, warn) if signals.info.live else signals,
                publisher,
                speed=order.speed,
                played=lambda samples: progress.update(bar, completed=samples),
            )

        async with client.publisher(order.stream, run, on_event=report.show) as publisher:
            try:
                if signals.info.live:
                    await _until_stopped(partial(sent, publisher), publisher)
                else:
                    await sent(publisher)
            except Exception as error:
                raise failure(error, publisher, live=signals.info.live) from error
            await report.settle(client, publisher)
    known = 0 if signals.info.live else publisher.known_samples
    stored = f"; the first {known} samples were already stored" if known else ""
    typer.echo(f"{publisher.kept} chunks of {order.stream} stored in epoch {run}{stored}")
    if signals.info.annotations:
        typer.echo(f"{publisher.markers} annotations stored as markers")
    report.conclude(publisher)


def is_there(status: StreamStatus, run: str, info: SourceInfo) -> bool:
    """Return whether this epoch is already complete; warn of another publisher.

    Raises
    ------
    CommandError
        The epoch ended before the remaining samples were published.
    """
    doubt = misgiving(status, run, now_ns=time.time_ns())
    if doubt is None:
        return False
    if run not in status.ended_epochs:
        warn(doubt)
        return False
    if status.epoch == run and (status.next_sample or 0) >= (info.n_samples or math.inf):
        return True
    raise CommandError(f"{doubt}, or omit --epoch")


async def _until_stopped(send: Callable[[], Awaitable[None]], publisher: Publisher) -> None:
    """Publish until Ctrl-C, then end the epoch, so that its last results are computed."""

    async def work(_again: anyio.Event) -> None:
        await send()

    await stoppable(work)
    await publisher.finish()


def parse_analyses(power: str | None, coherence: list[str], band: str | None) -> Analyses | None:
    """Return the stream definition from the options, or None without such options.

    Raises
    ------
    CommandError
        The definition cannot be read, or the frequency band is missing.
    """
    if not power and not coherence:
        return None
    try:
        fmin_hz, fmax_hz = (float(part) for part in (band or "").split(","))
    except ValueError:
        raise CommandError(
            "no frequencies: give the lowest and the highest with --band, such as --band 2,40",
            USAGE,
        ) from None
    all_pairs = coherence == [ALL_PAIRS]
    pairs = [] if all_pairs else [split_names(pair) for pair in coherence]
    wrong = next((pair for pair in pairs if len(pair) != 2), None)
    if wrong is not None:
        raise CommandError(
            f"--coherence takes two channels, such as c3,c4, or only {ALL_PAIRS}, not "
            f"{','.join(wrong)}",
            USAGE,
        )
    return Analyses(
        power=split_names(power) if power else (),
        coherence=tuple((pair[0], pair[1]) for pair in pairs),
        all_pairs=all_pairs,
        fmin_hz=fmin_hz,
        fmax_hz=fmax_hz,
    )


def read_definition(path: Path, stream: str) -> StreamDefinition:
    """Read a definition from a JSON file; it must be of `stream`."""
    try:
        definition = decode(StreamDefinition, path.read_bytes(), ContentType.JSON)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from None
    except ContractError as error:
        raise CommandError(f"{path} is not a stream definition: {error.message}", USAGE) from None
    if definition.name != stream:
        raise CommandError(
            f"{path} defines the stream {definition.name}, not {stream}: use --stream "
            f"{definition.name}, or change the name in the file",
            USAGE,
        )
    return definition


def near(known_hz: float | None, measured_hz: float) -> float:
    """Return the rate of the stream if it agrees with the measured one; else the measured one."""
    if known_hz is not None and abs(measured_hz - known_hz) <= RATE_TOLERANCE * known_hz:
        return known_hz
    return measured_hz


def check_rate(info: SourceInfo, definition: StreamDefinition) -> None:
    """Raise a `CommandError` if the source has another rate than the stream."""
    if abs(info.fs_hz - definition.fs_hz) > 1e-9 * info.fs_hz:
        raise CommandError(
            f"{info.name} has {info.fs_hz:g} Hz, but the stream {definition.name} is defined with "
            f"{definition.fs_hz:g} Hz: correct the rate of the source with --fs or that of the "
            f"stream with --define, resample the recording with --resample {definition.fs_hz:g}, "
            "or publish to another stream",
            USAGE,
        )


def check_channels(info: SourceInfo, definition: StreamDefinition) -> None:
    """Raise a `CommandError` if the source's channels do not fit the stream."""
    columns, channels = info.channel_names, definition.channel_names
    if len(columns) != len(channels):
        raise CommandError(
            f"{info.name} has the channels {', '.join(columns)}, but the stream has the channels "
            f"{', '.join(channels)}: select the same number, in that order, with --channels",
            USAGE,
        )


def _progress(info: SourceInfo) -> Progress:
    samples = TextColumn("samples")
    if info.live:
        shown_columns = (TextColumn("{task.completed}"), samples, TimeElapsedColumn())
        return Progress(TextColumn("{task.description}"), *shown_columns, console=_errors())
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        samples,
        TimeRemainingColumn(),
        console=_errors(),
    )


def _errors() -> Console:
    return Console(stderr=True)
